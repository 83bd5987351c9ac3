package ai.djl.nestquant.rotation;

/**
 * The SplitMix64 generator of Steele, Lea and Flood (OOPSLA 2014), small enough to be written again
 * in any language that has to reproduce a rotation.
 *
 * <p>Not thread-safe.
 */
final class SplitMix64 {

    private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

    private long state;

    SplitMix64(long seed) {
        state = seed;
    }

    /** Returns the next 64 random bits. */
    long next() {
        state += GOLDEN_GAMMA;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** Returns a multiple of 2^-53 in [0, 1). */
    double nextUnit() {
        return (next() >>> 11) * 0x1p-53;
    }
}
