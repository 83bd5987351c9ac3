package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;

/**
 * Encodes whole rows: finds the row's scale, then the best code of each block.
 *
 * <p>Scales stand on the grid {@code tensorScale · 2^(−e/12)}, e in 0..255. Holds scratch: one
 * instance per thread.
 */
public final class RowEncoder {
    // with 2^(−255/12) of it, squares of scales are still normal floats
    private static final float SMALLEST_TENSOR_SCALE = 1e-9f;

    /**
     * Exponents tried to each side: up to 26% finer and coarser. Six instead of four gain 0.1% on
     * the rotated rows of SmolLM2.
     */
    public static final int SCALE_WINDOW = 4;

    private final float tensorScale;
    private final BlockEncoder encoder;
    private final RowScaleSearch search;

    /** Takes the blocks of a row in order. */
    @FunctionalInterface
    public interface BlockSink {
        /**
         * Takes one block.
         *
         * @param block its index in the row
         * @param point its leader, doubled integers [8]; valid during the call only
         * @param betaIndex its index into the beta set
         */
        void accept(int block, int[] point, int betaIndex);
    }

    /**
     * Makes an encoder.
     *
     * @param code the cosets of E8 that can be stored
     * @param betas the scales that can be stored
     * @param tensorScale the row scale of exponent 0
     * @param scaleWindow how many exponents are tried to each side of the row's root mean square
     *     times the set's unit; {@link #SCALE_WINDOW}, or 0 to take just that one
     */
    public RowEncoder(VoronoiCode code, BetaSet betas, float tensorScale, int scaleWindow) {
        this.tensorScale = tensorScale;
        this.encoder = new BlockEncoder(code, betas, BetaPolicy.INNER_FIT);
        // the search ranks scales by plain best-fit: same choice, half the time
        this.search =
                new RowScaleSearch(
                        new BlockEncoder(code, betas, BetaPolicy.BEST_FIT),
                        tensorScale,
                        scaleWindow);
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
        RowChecks.wholeBlocks(columns);
        RowChecks.squaredNorm(entries, offset, columns);
        float largest = 0;
        for (int start = offset; start < offset + columns; start += PackedMatrix.BLOCK) {
            largest = Math.max(largest, BlockEncoder.squaredNorm(entries, start));
        }
        return (float) Math.sqrt(largest);
    }

    /**
     * Returns the tensor scale with which exponent 0 holds every block.
     *
     * <p>A block x of norm {@code β·(r − 1)}, r the radius of a ball that the largest β's codes
     * fill, is within 1 (E8's covering radius) of a point in that ball.
     *
     * @param code the cosets of E8 that can be stored
     * @param betas the scales that can be stored
     * @param largestBlockNorm the largest block norm of all rows
     * @return the scale; at least 1e-9, so that entries below about 1e-14 become zeros
     */
    public static float tensorScale(VoronoiCode code, BetaSet betas, float largestBlockNorm) {
        double covered = new BlockEncoder(code, betas, BetaPolicy.BEST_FIT).coveredNorm();
        return Math.max((float) (largestBlockNorm / covered), SMALLEST_TENSOR_SCALE);
    }

    /**
     * Encodes one row.
     *
     * @param entries the row's buffer
     * @param offset index of its first entry
     * @param columns its length, a multiple of 8
     * @param sink takes the blocks
     * @param stats receives the row's distortion
     * @return the row's exponent e, 0 to 255
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its column
     */
    public int encode(
            float[] entries, int offset, int columns, BlockSink sink, DistortionStats stats) {
        double norm = RowChecks.squaredNorm(entries, offset, columns);
        int exponent = search.bestExponent(entries, offset, columns, norm);
        encoder.setRowScale(PackedMatrix.rowScale(tensorScale, exponent));
        int blocks = columns / PackedMatrix.BLOCK;
        double error = 0;
        int overloads = 0;
        for (int block = 0; block < blocks; block++) {
            error += encoder.encode(entries, offset + block * PackedMatrix.BLOCK);
            overloads += encoder.overloaded() ? 1 : 0;
            sink.accept(block, encoder.point(), encoder.betaIndex());
        }
        stats.addRow(error, norm, blocks, overloads);
        return exponent;
    }
}
