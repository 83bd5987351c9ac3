package ai.djl.nestquant.codec;

/**
 * A way to store rows of floats in few bits: lattice codes and the baselines they are compared
 * with.
 *
 * <p>Rows come as they are to be stored: rotation and padding are the caller's. Implementations are
 * immutable and thread-safe.
 */
public interface RowQuantizer {
    /** Returns a short name for tables, such as {@code 16·E8 k=4}. */
    String name();

    /**
     * Returns the stored bits per entry, row scales and group scales included.
     *
     * @param columns length of the rows
     * @return bits per entry
     */
    double bitsPerEntry(int columns);

    /**
     * Computes what a row is stored as, in floats.
     *
     * @param row entries, finite
     * @param offset index of the row's first entry
     * @param columns length of the row; a multiple of 8, or of the quantiser's group if that is
     *     larger
     * @param decoded receives the decoded row at the same offset; may be the same array
     * @return the number of blocks or groups that overloaded (were clipped for lack of range)
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position, or the
     *     length does not fit
     */
    int quantize(float[] row, int offset, int columns, float[] decoded);

    /**
     * Fixes the scale that a whole row shares, so that its pieces can be coded one by one.
     *
     * @param row entries, finite
     * @param offset index of the row's first entry
     * @param columns length of the row, as in {@link #quantize}
     * @param factor what the row's scale is multiplied by; groups find theirs in the piece
     * @return codes the pieces
     */
    RowPieces pieces(float[] row, int offset, int columns, float factor);
}
