package ai.djl.nestquant.codec;

/**
 * The word of a block's leader as memory holds it: a kernel unpacks nibbles and is done, where the
 * words that containers store ({@link NibbleWord}, {@link DualNibbleWord}) leave it to find the
 * nearest member of a coset. This scalar code is the specification that all kernels reproduce.
 *
 * <p>With {@code q = 2^width} the word holds {@code z = a + p/2}, {@code a_i ∈ [−q/2, q/2)}, {@code
 * p ∈ {0, 1}}: byte i (i = 0..3) has a_i in its low nibble and a_(i+4) in its high one, two's
 * complement in {@code width} bits. Σa is even, so the lowest bit of a_7 follows from the others;
 * in its place, bit 28, stands p. The leader is z, but in q·E8 for one coordinate that may lie
 * outside: a bit beside the word tells that the first coordinate with the largest |z| moves by q
 * towards the other sign.
 *
 * <p>All methods are static and thread-safe.
 */
final class LeaderWord {
    static final int PARITY_BIT = 28;

    private LeaderWord() {}

    /**
     * Packs a leader.
     *
     * @param y doubled integers [8], a leader of {@code q·E8} or {@code q·D8*} (unchecked)
     * @param width bits of a coordinate, 3 or 4; with 3 the top bit of every nibble is 0
     * @return the word
     */
    static int pack(int[] y, int width) {
        int mask = (1 << width) - 1;
        int word = 0;
        for (int i = 0; i < 8; i++) {
            word |= (y[i] >> 1 & mask) << NibbleWord.bit(i);
        }
        return word & ~(1 << PARITY_BIT) | (y[0] & 1) << PARITY_BIT;
    }

    /** Returns whether a coordinate of a leader lies outside of what {@link #pack} can hold. */
    static boolean moves(int[] y, int width) {
        int half = 1 << width - 1;
        int outside = 0;
        for (int value : y) {
            outside |= (value >> 1) + half >> width;
        }
        return outside != 0;
    }

    /**
     * Decodes a word; every word is valid.
     *
     * @param word the word
     * @param moves whether a coordinate moves
     * @param width bits of a coordinate, 3 or 4
     * @param y receives the leader, doubled integers [8]
     */
    static void leader(int word, boolean moves, int width, int[] y) {
        int unused = 32 - width;
        int parity = word >>> PARITY_BIT & 1;
        int others = word & ~(1 << PARITY_BIT);
        int last = Integer.bitCount(others & NibbleWord.LOWEST_BITS) & 1;
        int nibbles = others | last << PARITY_BIT;
        int largest = 0;
        for (int i = 0; i < 8; i++) {
            y[i] = 2 * (nibbles << unused - NibbleWord.bit(i) >> unused) + parity;
            largest = Math.abs(y[i]) > Math.abs(y[largest]) ? i : largest;
        }
        if (moves) {
            int twice = 2 << width;
            y[largest] += y[largest] < 0 ? twice : -twice;
        }
    }
}
