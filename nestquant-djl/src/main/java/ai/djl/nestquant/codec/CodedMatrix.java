package ai.djl.nestquant.codec;

/**
 * A matrix of coded rows: {@code W[r][c] = scale(r)·q[r][c]}, q int8, on lattice codes or as it is.
 */
public sealed interface CodedMatrix permits PackedMatrix, Int8Matrix {

    /** Returns the number of rows. */
    int rows();

    /** Returns the number of columns, padding included. */
    int columns();

    /**
     * Returns the float that a row's integers are multiplied by.
     *
     * @param row 0 to rows − 1
     * @return scale(row)
     */
    float rowScale(int row);

    /**
     * Decodes a row to its integers.
     *
     * @param row 0 to rows − 1
     * @param out receives int8 [columns]
     */
    void decodeRow(int row, byte[] out);
}
