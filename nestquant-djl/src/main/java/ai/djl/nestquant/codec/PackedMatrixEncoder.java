package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;

/**
 * Fills a {@link PackedMatrix}: per block the best step of the ladder, per row the best scale.
 *
 * <p>Quantising a matrix takes two passes over its rows (rotated and padded by the caller): {@link
 * #largestBlockNorm} of all rows gives {@link #tensorScale}, the scale that holds every block, then
 * each tile is encoded. Thread-safe for calls with different tiles.
 */
public final class PackedMatrixEncoder {
    private final PackedMatrix matrix;
    private final ByteBuffer rowScales;

    /**
     * Makes an encoder that writes into a matrix.
     *
     * @param matrix the matrix to fill
     */
    public PackedMatrixEncoder(PackedMatrix matrix) {
        this.matrix = matrix;
        this.rowScales = matrix.rowScales();
    }

    /**
     * Encodes a whole matrix on the calling thread.
     *
     * @param code the code
     * @param entries [rows][columns], finite
     * @param rows number of rows
     * @param columns number of columns, a multiple of 8
     * @param stats receives the distortion
     * @return the packed matrix
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public static PackedMatrix encode(
            PackedCode code, float[] entries, int rows, int columns, DistortionStats stats) {
        float largest = 0;
        for (int row = 0; row < rows; row++) {
            largest = Math.max(largest, largestBlockNorm(entries, row * columns, columns));
        }
        PackedMatrix matrix =
                PackedMatrix.allocate(code, rows, columns, tensorScale(code, largest));
        PackedMatrixEncoder encoder = new PackedMatrixEncoder(matrix);
        for (int tile = 0; tile < matrix.tiles(); tile++) {
            encoder.encodeTile(tile, entries, tile * PackedMatrix.TILE_ROWS * columns, stats);
        }
        return matrix;
    }

    /**
     * Returns the norm of the largest block of a row, see {@link RowEncoder#largestBlockNorm}.
     *
     * @param entries the row's buffer
     * @param offset index of its first entry
     * @param columns its length, a multiple of 8
     * @return max ‖x_b‖₂
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its column
     */
    public static float largestBlockNorm(float[] entries, int offset, int columns) {
        return RowEncoder.largestBlockNorm(entries, offset, columns);
    }

    /**
     * Returns the tensor scale with which exponent 0 holds every block.
     *
     * @param code the code
     * @param largestBlockNorm the largest {@link #largestBlockNorm} of all rows
     * @return the scale
     */
    public static float tensorScale(PackedCode code, float largestBlockNorm) {
        return RowEncoder.tensorScale(code.cosets(), code.ladder().betas(), largestBlockNorm);
    }

    /**
     * Encodes the rows of one tile with the best scale for each.
     *
     * @param tile the tile, 0 to T − 1
     * @param entries holds rows 16·tile to 16·tile + 15 (fewer at the end), [rows][columns]
     * @param offset index of the first row's first entry
     * @param stats receives the distortion of the rows
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public void encodeTile(int tile, float[] entries, int offset, DistortionStats stats) {
        int firstRow = tile * PackedMatrix.TILE_ROWS;
        int end = Math.min(matrix.rows(), firstRow + PackedMatrix.TILE_ROWS);
        RowEncoder encoder = newRowEncoder();
        for (int row = firstRow; row < end; row++) {
            encodeRow(encoder, row, entries, offset + (row - firstRow) * matrix.columns(), stats);
        }
    }

    /**
     * Encodes one row with the best scale, leaving the other rows of its tile as they are: for
     * matrices that grow, such as a KV cache. Calls for rows of one tile must not overlap.
     *
     * @param row the row, 0 to rows − 1
     * @param entries holds the row
     * @param offset index of its first entry
     * @param stats receives the distortion
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public void encodeRow(int row, float[] entries, int offset, DistortionStats stats) {
        encodeRow(newRowEncoder(), row, entries, offset, stats);
    }

    private RowEncoder newRowEncoder() {
        PackedCode code = matrix.code();
        return new RowEncoder(
                code.cosets(),
                code.ladder().betas(),
                matrix.tensorScale(),
                RowEncoder.SCALE_WINDOW);
    }

    private void encodeRow(
            RowEncoder encoder, int row, float[] entries, int offset, DistortionStats stats) {
        int exponent =
                encoder.encode(
                        entries,
                        offset,
                        matrix.columns(),
                        (block, point, step) -> matrix.put(row, block, point, step),
                        stats);
        rowScales.put(row, (byte) exponent);
    }
}
