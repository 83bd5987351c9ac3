package ai.djl.nestquant.calibration;

import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BlockEncoder;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;

/**
 * Fills a {@link PackedMatrix} with feedback: each row is rounded with several scales around the
 * one that suits plain rounding, and the scale with the least weighted error is kept.
 *
 * <p>Thread-safe for calls with different tiles.
 */
public final class PackedLdlq {

    /** Exponents tried beside the best one for plain rounding; −1 is 6% coarser. */
    private static final int COARSER = 3;

    private static final int FINER = 1;
    private static final int CHOICES = COARSER + 1 + FINER;

    /** Feedback widens targets: with this much room the coarsest scale still holds every block. */
    private static final float ROOM = 2;

    private final PackedMatrix matrix;
    private final InputFactors factors;

    /**
     * Makes an encoder that writes into a matrix.
     *
     * @param matrix the matrix to fill
     * @param factors of the inputs of its columns
     */
    public PackedLdlq(PackedMatrix matrix, InputFactors factors) {
        this.matrix = matrix;
        this.factors = factors;
    }

    /**
     * Returns the tensor scale that leaves room for feedback.
     *
     * @param code the code
     * @param largestBlockNorm the largest norm of 8 neighbouring entries of all rows
     * @return the scale
     */
    public static float tensorScale(PackedCode code, float largestBlockNorm) {
        return PackedMatrixEncoder.tensorScale(code, ROOM * largestBlockNorm);
    }

    /**
     * Rounds the rows of one tile, which has been encoded plainly before: the scales that suit
     * plain rounding are taken from there.
     *
     * @param tile the tile
     * @param exact its rows, {@code [up to 16][columns]}
     * @param targets what they are to be rounded to, see {@link InputFactors#toTargets}
     * @param stats receives how far the rows have moved
     */
    public void encodeTile(int tile, float[] exact, float[] targets, DistortionStats stats) {
        int n = matrix.columns();
        int count = exact.length / n;
        Trials trials = new Trials(tile * PackedMatrix.TILE_ROWS, count);
        float[] decoded = new float[exact.length * CHOICES];
        double[] losses = factors.ldlq().round(targets, count * CHOICES, CHOICES, trials, decoded);
        for (int row = 0; row < count; row++) {
            int least = row * CHOICES;
            for (int copy = least; copy < (row + 1) * CHOICES; copy++) {
                least = losses[copy] < losses[least] ? copy : least;
            }
            int overloads = trials.keep(least, tile * PackedMatrix.TILE_ROWS + row);
            double error = 0;
            double norm = 0;
            for (int i = 0; i < n; i++) {
                float weight = exact[row * n + i];
                double difference = (double) weight - decoded[least * n + i];
                error += difference * difference;
                norm += (double) weight * weight;
            }
            stats.addRow(error, norm, n / PackedMatrix.BLOCK, overloads);
        }
    }

    /** Every row of a tile with every scale. */
    private final class Trials implements BlockCode {

        private final int[] exponents;
        private final byte[][] points; // doubled integers
        private final byte[][] steps;
        private final int[] overloads;
        private final BlockEncoder encoder;
        private int row = -1;
        private float scale;

        Trials(int firstRow, int count) {
            exponents = new int[count * CHOICES];
            for (int copy = 0; copy < exponents.length; copy++) {
                int plain = Byte.toUnsignedInt(matrix.rowScales().get(firstRow + copy / CHOICES));
                int exponent = plain - COARSER + copy % CHOICES;
                exponents[copy] = Math.max(0, Math.min(255, exponent));
            }
            points = new byte[exponents.length][matrix.columns()];
            steps = new byte[exponents.length][matrix.columns() / PackedMatrix.BLOCK];
            overloads = new int[exponents.length];
            PackedCode code = matrix.code();
            encoder = new BlockEncoder(code.cosets(), code.ladder().betas(), BetaPolicy.INNER_FIT);
        }

        @Override
        public int width() {
            return PackedMatrix.BLOCK;
        }

        @Override
        public void round(int of, int column, float[] target, int offset, float[] decoded) {
            if (of != row) {
                row = of;
                scale = PackedMatrix.rowScale(matrix.tensorScale(), exponents[row]);
                encoder.setRowScale(scale);
            }
            encoder.encode(target, offset);
            overloads[row] += encoder.overloaded() ? 1 : 0;
            int[] point = encoder.point();
            steps[row][column / width()] = (byte) encoder.betaIndex();
            float step = scale * matrix.code().ladder().step(encoder.betaIndex());
            for (int i = 0; i < point.length; i++) {
                points[row][column + i] = (byte) point[i];
                decoded[i] = step * point[i];
            }
        }

        /** Writes the codes of a trial to a row of the matrix and returns its overloads. */
        int keep(int copy, int matrixRow) {
            int[] point = new int[width()];
            for (int block = 0; block < steps[copy].length; block++) {
                for (int i = 0; i < point.length; i++) {
                    point[i] = points[copy][block * width() + i];
                }
                matrix.put(matrixRow, block, point, steps[copy][block]);
            }
            matrix.rowScales().put(matrixRow, (byte) exponents[copy]);
            return overloads[copy];
        }
    }
}
