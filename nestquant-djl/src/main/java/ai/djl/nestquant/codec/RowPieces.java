package ai.djl.nestquant.codec;

/**
 * A row whose scale is fixed and whose pieces are coded one by one, as rounding with feedback does.
 *
 * <p>Holds scratch: belongs to one thread.
 */
public interface RowPieces {

    /** Returns the entries of a piece: 8, or the quantiser's group. */
    int width();

    /**
     * Codes and decodes a piece.
     *
     * @param x its entries, from offset on, finite
     * @param offset index of the first
     * @param decoded receives what they are stored as, from 0 on
     */
    void quantize(float[] x, int offset, float[] decoded);
}
