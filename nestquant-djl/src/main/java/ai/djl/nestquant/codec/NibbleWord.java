package ai.djl.nestquant.codec;

/**
 * The 32-bit word of a coset of E8 modulo 16·E8: eight nibbles. This scalar code is the
 * specification that all kernels reproduce.
 *
 * <p>The coset's representative is {@code x = a + p/2 + 16·b·e_7}, {@code a_i ∈ [−8, 8)}, {@code p,
 * b ∈ {0, 1}}, {@code a_1 ≥ 0}. Byte i of the word (i = 0..3) holds a_i in its low nibble and
 * a_(i+4) in its high one, two's complement; the free sign bit of a_1 (bit 11) holds p; the lowest
 * bit of a_7 (bit 28) is flipped if b = 1, so that b is the parity of the eight lowest bits (Σa is
 * even). The leader is that of {@link ai.djl.nestquant.lattice.VoronoiCode}, tie rule included.
 *
 * <p>All methods are static and thread-safe.
 */
public final class NibbleWord {
    /** Bits of the word that are the lowest bits of nibbles. */
    static final int LOWEST_BITS = 0x11111111;

    private static final int LAST_LOWEST_BIT = 28;

    private NibbleWord() {}

    /**
     * Packs the coset of a lattice point modulo 16·E8.
     *
     * @param y a point of E8, doubled integers [8] (unchecked)
     * @return the word of {@code y + 16·E8}
     */
    public static int pack(int[] y) {
        return pack(y, 4);
    }

    /**
     * Packs the coset of a lattice point modulo {@code q·E8}, {@code q = 2^width}.
     *
     * @param y a point of E8, doubled integers [8] (unchecked)
     * @param width bits of a coordinate, 3 or 4; with 3 the top bit of every nibble is 0
     * @return the word
     */
    static int pack(int[] y, int width) {
        int half = 1 << width - 1;
        int parity = y[0] & 1;
        // q/2·1 is in q·E8: it makes a_1 non-negative modulo q
        int shift = y[1] >> 1 & half;
        int wraps = 0;
        int word = 0;
        for (int i = 0; i < 8; i++) {
            int a = (y[i] >> 1) + shift;
            wraps ^= a + half >> width;
            word |= (a & 2 * half - 1) << bit(i);
        }
        return word ^ (wraps & 1) << LAST_LOWEST_BIT | parity << parityBit(width);
    }

    /** Returns the bit that holds p, the free sign bit of a_1. */
    static int parityBit(int width) {
        return bit(1) + width - 1;
    }

    /**
     * Decodes a word to its coset leader; every word is valid.
     *
     * @param word the coset
     * @param y receives the leader, doubled integers [8]
     */
    public static void leader(int word, int[] y) {
        leader(word, 4, y);
    }

    /** Decodes a word of {@link #pack(int[], int)} to its coset leader. */
    static void leader(int word, int width, int[] y) {
        int q = 1 << width;
        int parity = word >>> parityBit(width) & 1;
        int b = Integer.bitCount(word & LOWEST_BITS) & 1;
        int nibbles = word & ~(1 << parityBit(width)) ^ b << LAST_LOWEST_BIT;
        int sum = 0;
        int max = 0;
        int min = 16;
        int negatives = 0;
        for (int i = 0; i < 8; i++) {
            int a = nibbles << 32 - width - bit(i) >> 32 - width;
            y[i] = 2 * a + parity;
            int size = Math.abs(y[i]);
            sum += size;
            max = Math.max(max, size);
            min = Math.min(min, size);
            negatives ^= y[i] >>> 31;
        }
        int farB = negatives ^ b;
        boolean far = sum - 4 * q + b * 2 * (q - max) - farB * 2 * min > 0;
        int largest = 0;
        for (int i = 0; i < 8; i++) {
            y[i] += far ? (y[i] < 0 ? q : -q) : 0;
            largest = Math.abs(y[i]) > Math.abs(y[largest]) ? i : largest;
        }
        y[largest] += (far ? farB : b) * (y[largest] < 0 ? 2 * q : -2 * q);
    }

    /** Returns the lowest bit of coordinate i's nibble. */
    static int bit(int i) {
        return 8 * (i & 3) + (i >> 2) * 4;
    }
}
