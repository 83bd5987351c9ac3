package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;

/**
 * The word of a coset where digits are whole bits: digit i of the Voronoi code in the bits above
 * those of digit i − 1. 16 bits for 4·E8, 24 for 8·E8, 48 for 64·E8, 31 for 16·D8*.
 *
 * <p>16·E8 has the faster {@link NibbleWord}. Not thread-safe: holds scratch.
 */
public final class DigitWord {
    private final VoronoiCode code;
    private final int[] widths = new int[GossetLattice.DIMENSION];
    private final int[] digits = new int[GossetLattice.DIMENSION];

    /**
     * Makes the word of a code.
     *
     * @param code a code whose nesting ratio is a power of two
     * @throws IllegalArgumentException for other nesting ratios; they need the dense layout
     */
    public DigitWord(VoronoiCode code) {
        if (Integer.bitCount(code.nestingRatio()) != 1) {
            throw new IllegalArgumentException(
                    code.name() + " has no whole bits per digit; use the dense layout");
        }
        this.code = code;
        for (int i = 0; i < widths.length; i++) {
            widths[i] = Integer.numberOfTrailingZeros(code.radix(i));
        }
    }

    /** Returns the bits of a word, 8 times the code's rate. */
    public int bits() {
        int sum = 0;
        for (int width : widths) {
            sum += width;
        }
        return sum;
    }

    /**
     * Packs the coset of a lattice point.
     *
     * @param y a point of E8, doubled integers [8]
     * @return the word, in the lowest {@link #bits} bits
     */
    public long pack(int[] y) {
        code.encode(y, digits);
        long word = 0;
        int shift = 0;
        for (int i = 0; i < digits.length; i++) {
            word |= (long) digits[i] << shift;
            shift += widths[i];
        }
        return word;
    }

    /**
     * Decodes a word to its coset leader; every word is valid, bits above {@link #bits} are
     * ignored.
     *
     * @param word the coset
     * @param y receives the leader, doubled integers [8]
     */
    public void leader(long word, int[] y) {
        long rest = word;
        for (int i = 0; i < digits.length; i++) {
            digits[i] = (int) (rest & (1L << widths[i]) - 1);
            rest >>>= widths[i];
        }
        code.leader(digits, y);
    }
}
