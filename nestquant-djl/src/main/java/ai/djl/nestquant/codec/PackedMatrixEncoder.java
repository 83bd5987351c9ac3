package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;

/**
 * Fills a {@link PackedMatrix}: per block the best step of the ladder, per row the best scale.
 *
 * <p>Quantising a matrix takes two passes over its rows (rotated and padded by the caller): {@link
 * #largestBlockNorm} of all rows gives {@link #tensorScale}, which makes sure that no block of any
 * row can overload, then each tile is encoded. Thread-safe for calls with different tiles.
 */
public final class PackedMatrixEncoder {
    /** The code of the words: E8 modulo 16·E8. */
    public static final VoronoiCode CODE = new VoronoiCode(CoarseLattice.GOSSET, 16);

    // At the largest step 7 a leader may have |y| ≤ 18. A block x of norm 112·u is x/β of norm 8,
    // E8's covering radius adds 1: |y| ≤ 18, and norm 9 is inside the cell's inradius 16/√2.
    private static final float COVERED_NORM = 112f;

    // with 2^(−255/12) of it, squares of scales are still normal floats
    private static final float SMALLEST_TENSOR_SCALE = 1e-9f;

    private final PackedMatrix matrix;
    private final IntBuffer words;
    private final IntBuffer betas;
    private final ByteBuffer rowScales;

    /**
     * Makes an encoder that writes into a matrix.
     *
     * @param matrix the matrix to fill
     */
    public PackedMatrixEncoder(PackedMatrix matrix) {
        this.matrix = matrix;
        this.words = matrix.words();
        this.betas = matrix.betas();
        this.rowScales = matrix.rowScales();
    }

    /**
     * Encodes a whole matrix on the calling thread.
     *
     * @param entries [rows][columns], finite
     * @param rows number of rows
     * @param columns number of columns, a multiple of 8
     * @param stats receives the distortion
     * @return the packed matrix
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public static PackedMatrix encode(
            float[] entries, int rows, int columns, DistortionStats stats) {
        float largest = 0;
        for (int row = 0; row < rows; row++) {
            largest = Math.max(largest, largestBlockNorm(entries, row * columns, columns));
        }
        PackedMatrix matrix = PackedMatrix.allocate(rows, columns, tensorScale(largest));
        PackedMatrixEncoder encoder = new PackedMatrixEncoder(matrix);
        for (int tile = 0; tile < matrix.tiles(); tile++) {
            encoder.encodeTile(tile, entries, tile * PackedMatrix.TILE_ROWS * columns, stats);
        }
        return matrix;
    }

    /**
     * Returns the norm of the largest block of a row.
     *
     * @param entries the row's buffer
     * @param offset index of its first entry
     * @param columns its length, a multiple of 8
     * @return max ‖x_b‖₂
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its column
     */
    public static float largestBlockNorm(float[] entries, int offset, int columns) {
        float largest = 0;
        for (int start = 0; start < columns; start += PackedMatrix.BLOCK) {
            float sum = 0;
            for (int i = 0; i < PackedMatrix.BLOCK; i++) {
                float x = entries[offset + start + i];
                sum += x * x;
            }
            if (!(sum <= Float.MAX_VALUE)) {
                throw RowChecks.unusableEntry(entries, offset, start);
            }
            largest = Math.max(largest, sum);
        }
        return (float) Math.sqrt(largest);
    }

    /**
     * Returns the tensor scale with which exponent 0 holds every block.
     *
     * @param largestBlockNorm the largest block norm of all rows
     * @return the scale; at least 1e-9, so that entries below about 1e-14 become zeros
     */
    public static float tensorScale(float largestBlockNorm) {
        return Math.max(largestBlockNorm / COVERED_NORM, SMALLEST_TENSOR_SCALE);
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
        int columns = matrix.columns();
        for (int block = 0; block < matrix.blocks(); block++) {
            betas.put(matrix.betaIndex(tile, block), 0);
        }
        BetaSet steps = PackedMatrix.LADDER.betas();
        BlockEncoder encoder = new BlockEncoder(CODE, steps, BetaPolicy.INNER_FIT);
        RowScaleSearch search =
                new RowScaleSearch(
                        new BlockEncoder(CODE, steps, BetaPolicy.BEST_FIT), matrix.tensorScale());
        for (int row = firstRow; row < end; row++) {
            int start = offset + (row - firstRow) * columns;
            double norm = RowChecks.squaredNorm(entries, start, columns);
            int exponent = search.bestExponent(entries, start, columns, norm);
            writeRow(row, entries, start, exponent, norm, encoder, stats);
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
        int keep = ~(3 << 2 * (row % PackedMatrix.TILE_ROWS));
        for (int block = 0; block < matrix.blocks(); block++) {
            int index = matrix.betaIndex(row / PackedMatrix.TILE_ROWS, block);
            betas.put(index, betas.get(index) & keep);
        }
        BlockEncoder encoder =
                new BlockEncoder(CODE, PackedMatrix.LADDER.betas(), BetaPolicy.BEST_FIT);
        double norm = RowChecks.squaredNorm(entries, offset, matrix.columns());
        int exponent =
                new RowScaleSearch(encoder, matrix.tensorScale())
                        .bestExponent(entries, offset, matrix.columns(), norm);
        writeRow(row, entries, offset, exponent, norm, encoder, stats);
    }

    private void writeRow(
            int row,
            float[] entries,
            int start,
            int exponent,
            double norm,
            BlockEncoder encoder,
            DistortionStats stats) {
        int tile = row / PackedMatrix.TILE_ROWS;
        int shift = 2 * (row % PackedMatrix.TILE_ROWS);
        encoder.setRowScale(PackedMatrix.rowScale(matrix.tensorScale(), exponent));
        rowScales.put(row, (byte) exponent);
        double error = 0;
        int overloads = 0;
        for (int block = 0; block < matrix.blocks(); block++) {
            error += encoder.encode(entries, start + block * PackedMatrix.BLOCK);
            overloads += encoder.overloaded() ? 1 : 0;
            words.put(matrix.wordIndex(row, block), NibbleWord.pack(encoder.point()));
            int index = matrix.betaIndex(tile, block);
            betas.put(index, betas.get(index) | encoder.betaIndex() << shift);
        }
        stats.addRow(error, norm, matrix.blocks(), overloads);
    }
}
