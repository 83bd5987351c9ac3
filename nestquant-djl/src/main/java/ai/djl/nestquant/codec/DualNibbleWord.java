package ai.djl.nestquant.codec;

/**
 * The 32-bit word of a coset of E8 modulo 16·D8* with one spare bit, for eight scales: 4.25 bits
 * with two more index bits per block stored as beside {@link NibbleWord}.
 *
 * <p>As {@link NibbleWord}, but b does not exist, so the lowest bit of a_7 (bit 28) follows from
 * the others (Σa is even) and holds bit 2 of the scale's index. The leader needs no argmax: with
 * {@code Σ|x| > 32} every coordinate moves by {@code −8·sgn}, and that is all.
 *
 * <p>All methods are static and thread-safe.
 */
public final class DualNibbleWord {
    private static final int SPARE_BIT = 28;

    private DualNibbleWord() {}

    /**
     * Packs the coset of a lattice point.
     *
     * @param y a point of E8, doubled integers [8] (unchecked)
     * @param betaIndex the scale's index, 0 to 7, of which bit 2 is stored
     * @return the word
     */
    public static int pack(int[] y, int betaIndex) {
        return pack(y, betaIndex, 4);
    }

    /** Packs a coset modulo {@code q·D8*}, {@code q = 2^width}, as {@link NibbleWord} does. */
    static int pack(int[] y, int betaIndex, int width) {
        int half = 1 << width - 1;
        int shift = y[1] >> 1 & half;
        int word = 0;
        for (int i = 0; i < 8; i++) {
            word |= ((y[i] >> 1) + shift & 2 * half - 1) << NibbleWord.bit(i);
        }
        int spare = betaIndex >> 2 & 1;
        int parity = (y[0] & 1) << NibbleWord.parityBit(width);
        return word & ~(1 << SPARE_BIT) | spare << SPARE_BIT | parity;
    }

    /**
     * Packs what stands in memory, in a few operations instead of by {@link #pack} of its leader.
     *
     * @param word a {@link LeaderWord}
     * @param betaIndex the scale's index, 0 to 7
     * @param width bits of a coordinate, 3 or 4
     * @return the word that is stored
     */
    static int ofLeaderWord(int word, int betaIndex, int width) {
        int parityBit = NibbleWord.parityBit(width);
        int signs = NibbleWord.LOWEST_BITS << width - 1;
        int parity = word >>> LeaderWord.PARITY_BIT & 1;
        // adding q/2 to all coordinates, where it makes a_1 non-negative, flips their top bits
        int shifted = word ^ signs & -(word >>> parityBit & 1);
        int spare = betaIndex >> 2 & 1;
        int cleared = shifted & ~(1 << SPARE_BIT | 1 << parityBit);
        return cleared | spare << SPARE_BIT | parity << parityBit;
    }

    /**
     * Returns bit 2 of the scale's index.
     *
     * @param word the coset and the spare bit
     * @return 0 or 4
     */
    public static int highBetaBit(int word) {
        return (word >>> SPARE_BIT & 1) << 2;
    }

    /**
     * Decodes a word to its coset leader; every word is valid.
     *
     * @param word the coset and the spare bit, which is ignored
     * @param y receives the leader, doubled integers [8]
     */
    public static void leader(int word, int[] y) {
        leader(word, 4, y);
    }

    /** Decodes a word of {@link #pack(int[], int, int)} to its coset leader. */
    static void leader(int word, int width, int[] y) {
        int q = 1 << width;
        int parityBit = NibbleWord.parityBit(width);
        int parity = word >>> parityBit & 1;
        int last = Integer.bitCount(word & NibbleWord.LOWEST_BITS & ~(1 << SPARE_BIT)) & 1;
        int nibbles = word & ~(1 << parityBit | 1 << SPARE_BIT) | last << SPARE_BIT;
        int sum = 0;
        for (int i = 0; i < 8; i++) {
            int unused = 32 - width;
            y[i] = 2 * (nibbles << unused - NibbleWord.bit(i) >> unused) + parity;
            sum += Math.abs(y[i]);
        }
        for (int i = 0; i < 8 && sum > 4 * q; i++) {
            y[i] += y[i] < 0 ? q : -q;
        }
    }
}
