package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Arrays;

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
     * Exponents tried to each side. Mean relative error of SmolLM2's rotated rows: 0.00435 with
     * none, 0.00418 with two, 0.00417 with three to six.
     */
    public static final int SCALE_WINDOW = 3;

    /** Without a limit rows with giants (Student t with 3 degrees of freedom) lose no less. */
    private static final int PATIENCE = 8;

    /**
     * For vectors that stand alone, which are encoded while somebody waits: with 2 in place of 8
     * Student-t vectors lose 0.05% more, others nothing.
     */
    private static final int VECTOR_PATIENCE = 2;

    /** The coarsest scale of a vector that stands alone is so many times the Gaussian one. */
    private static final double COARSEST = 1024;

    private static final double SMALLEST_SCALE = 1e-12;

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
        this(code, betas, tensorScale, scaleWindow, PATIENCE);
    }

    private RowEncoder(
            VoronoiCode code, BetaSet betas, float tensorScale, int scaleWindow, int patience) {
        this.tensorScale = tensorScale;
        this.encoder = new BlockEncoder(code, betas, BetaPolicy.INNER_FIT);
        // ranking scales by plain best-fit takes half the time and leaves the same mean error; by
        // first-fit, rows with giants rotated to equal sizes would lose up to ten times as much
        BlockEncoder ranking = new BlockEncoder(code, betas, BetaPolicy.BEST_FIT);
        this.search = new RowScaleSearch(ranking, tensorScale, scaleWindow, patience);
    }

    /**
     * How many exponents are tried to each side of a vector that stands alone. The error of many
     * blocks hardly varies with the scale: at 2048 entries one exponent loses 0.2% more than two,
     * at 8192 nothing, at 576 it would be 0.6%. That of blocks alike, as of one giant that a
     * rotation has spread over all entries, varies as that of a single block.
     */
    private static int vectorWindow(int columns, double norm, float largestBlock) {
        int blocks = columns / PackedMatrix.BLOCK;
        boolean alike = largestBlock * (double) blocks < 2 * norm;
        return columns < 2048 || alike ? 2 : 1;
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
     * Finds the scale with which a row loses least.
     *
     * @param entries the row's buffer
     * @param offset index of its first entry
     * @param columns its length, a multiple of 8
     * @return the exponent, 0 to 255
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its column
     */
    public int bestExponent(float[] entries, int offset, int columns) {
        RowChecks.squaredNorm(entries, offset, columns);
        double norm = squaredNorm(entries, offset, columns);
        return search.bestExponent(entries, offset, columns, norm);
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
        RowChecks.squaredNorm(entries, offset, columns);
        double norm = squaredNorm(entries, offset, columns);
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

    /**
     * Encodes a vector that stands alone, such as a token's activations, as {@code scale · integer}
     * with the integers {@code m_j·y}. Its scale is one of {@code g·2^(t/12)}, g the one that suits
     * its root mean square; a vector with g below 1e-12 counts as zero.
     *
     * @param code the code
     * @param entries the vector's buffer
     * @param offset index of its first entry
     * @param columns its length, a multiple of 8
     * @param integers receives the integers from {@code offset} on
     * @return the scale
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its column
     */
    public static float encodeIntegers(
            PackedCode code, float[] entries, int offset, int columns, byte[] integers) {
        RowChecks.squaredNorm(entries, offset, columns);
        Ladder ladder = code.ladder();
        double norm = squaredNorm(entries, offset, columns);
        double scale = ladder.unit() * Math.sqrt(norm / columns);
        if (scale < SMALLEST_SCALE) {
            Arrays.fill(integers, offset, offset + columns, (byte) 0);
            return 0;
        }
        float tensorScale = (float) (scale * COARSEST);
        float largest = 0;
        for (int start = offset; start < offset + columns; start += PackedMatrix.BLOCK) {
            largest = Math.max(largest, BlockEncoder.squaredNorm(entries, start));
        }
        RowEncoder encoder =
                new RowEncoder(
                        code.cosets(),
                        ladder.betas(),
                        tensorScale,
                        vectorWindow(columns, norm, largest),
                        VECTOR_PATIENCE);
        int exponent =
                encoder.encode(
                        entries,
                        offset,
                        columns,
                        (block, point, index) -> {
                            int start = offset + block * PackedMatrix.BLOCK;
                            for (int i = 0; i < point.length; i++) {
                                integers[start + i] = (byte) (ladder.step(index) * point[i]);
                            }
                        },
                        new DistortionStats());
        return PackedMatrix.rowScale(tensorScale, exponent);
    }

    /** The squared norm summed up block by block, floats to a double, as native code does it. */
    private static double squaredNorm(float[] entries, int offset, int columns) {
        double norm = 0;
        for (int start = offset; start < offset + columns; start += PackedMatrix.BLOCK) {
            norm += BlockEncoder.squaredNorm(entries, start);
        }
        return norm;
    }
}
