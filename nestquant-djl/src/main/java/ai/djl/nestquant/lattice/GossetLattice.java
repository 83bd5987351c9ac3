package ai.djl.nestquant.lattice;

/**
 * The Gosset lattice {@code E8 = D8 ∪ (D8 + ½·1)}, {@code D8 = {x ∈ Z^8 : Σx even}}.
 *
 * <p>A point x is held as the doubled integers {@code y = 2x}: all even or all odd, with {@code Σy
 * ≡ 0 (mod 4)}. Covering radius 1, packing radius 1/√2 (in x). All methods are static and
 * thread-safe.
 */
public final class GossetLattice {
    /** Entries of a block: the dimension of the lattice. */
    public static final int DIMENSION = 8;

    /** Largest coordinate that {@link #nearest} accepts, where float rounding by addition ends. */
    public static final float LARGEST_COORDINATE = 1 << 21;

    // 1.5·2^23: adding it leaves the integer part of a float in its low mantissa bits
    private static final float ROUND = 12582912f;
    private static final int ROUND_BITS = Float.floatToRawIntBits(ROUND);

    private GossetLattice() {}

    /**
     * Finds the lattice point nearest to {@code x·factor} (Conway and Sloane, 1982).
     *
     * <p>With r = x rounded and d = x − r, the nearest point of D8 is r, or r with its worst
     * rounded coordinate rounded the other way; D8 + ½·1 likewise with residuals {@code ½ − |d|},
     * so one pass over d serves both. Equally near points are decided by D8 before D8 + ½·1, the
     * last index in D8, the first one in D8 + ½·1 and rounding to even; any of them is as good, so
     * this is no part of the stored format.
     *
     * @param x entries; finite, and {@code |x·factor|} ≤ {@link #LARGEST_COORDINATE} (unchecked)
     * @param offset index of the block's first entry
     * @param factor multiplies the block, 1/β
     * @param y receives the nearest point, doubled integers [8]
     * @return the squared distance of the point from {@code x·factor}, not negative
     */
    public static float nearest(float[] x, int offset, float factor, int[] y) {
        int parity = 0;
        int negatives = 0;
        int largest = 0;
        int smallest = Integer.MAX_VALUE;
        float sum = 0;
        float squares = 0;
        for (int i = 0; i < DIMENSION; i++) {
            float v = x[offset + i] * factor;
            float shifted = v + ROUND;
            float d = v - (shifted - ROUND);
            int rounded = Float.floatToRawIntBits(shifted) - ROUND_BITS;
            int bits = Float.floatToRawIntBits(d);
            y[i] = 2 * rounded;
            parity ^= rounded;
            negatives |= (bits >>> 31) << i;
            sum += Math.abs(d);
            squares += d * d;
            // |d| with its index in the three lowest bits: no branch
            int key = bits & 0x7ffffff8 | i;
            largest = Math.max(largest, key);
            smallest = Math.min(smallest, key);
        }
        int oddInteger = parity & 1;
        int oddHalf = (parity ^ Integer.bitCount(negatives)) & 1;
        float max = Float.intBitsToFloat(largest & ~7);
        float min = Float.intBitsToFloat(smallest & ~7);
        float integer = oddInteger * (1 - 2 * max);
        float half = 2 - sum + oddHalf * 2 * min;
        if (integer <= half) {
            int i = largest & 7;
            y[i] += oddInteger * (2 - 4 * (negatives >> i & 1));
            return Math.max(0, squares + integer);
        }
        for (int i = 0; i < DIMENSION; i++) {
            y[i] += 1 - 2 * (negatives >> i & 1);
        }
        int i = smallest & 7;
        y[i] -= oddHalf * (2 - 4 * (negatives >> i & 1));
        return Math.max(0, squares + half);
    }

    /**
     * Says whether doubled integers are a point of E8.
     *
     * @param y doubled coordinates [8]
     * @return whether all are even or all odd, and their sum is a multiple of 4
     */
    public static boolean contains(int[] y) {
        int sum = 0;
        int differing = 0;
        for (int coordinate : y) {
            sum += coordinate;
            differing |= coordinate ^ y[0];
        }
        return y.length == DIMENSION && (differing & 1) == 0 && (sum & 3) == 0;
    }
}
