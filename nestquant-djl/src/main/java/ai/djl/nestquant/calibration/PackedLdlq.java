package ai.djl.nestquant.calibration;

import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BlockEncoder;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.codec.RowEncoder;
import java.nio.ByteBuffer;

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
     * Encodes the rows of one tile.
     *
     * @param tile the tile
     * @param rows its rows, {@code [up to 16][columns]}; changed
     * @param stats receives how far they have moved
     */
    public void encodeTile(int tile, float[] rows, DistortionStats stats) {
        int n = matrix.columns();
        int count = rows.length / n;
        float[] exact = rows.clone();
        factors.toTargets(rows, count);
        int[] exponents = bestExponents(rows, count);
        ByteBuffer rowScales = matrix.rowScales();
        int first = tile * PackedMatrix.TILE_ROWS;
        TileCode code = new TileCode(exponents, first);
        float[] decoded = new float[rows.length];
        factors.ldlq().round(rows, count, code, decoded);
        for (int row = 0; row < count; row++) {
            rowScales.put(first + row, (byte) exponents[row]);
            double error = 0;
            double norm = 0;
            for (int i = row * n; i < (row + 1) * n; i++) {
                double difference = exact[i] - decoded[i];
                error += difference * difference;
                norm += (double) exact[i] * exact[i];
            }
            stats.addRow(error, norm, n / PackedMatrix.BLOCK, code.overloads[row]);
        }
    }

    private int[] bestExponents(float[] rows, int count) {
        int n = matrix.columns();
        PackedCode code = matrix.code();
        RowEncoder encoder =
                new RowEncoder(
                        code.cosets(),
                        code.ladder().betas(),
                        matrix.tensorScale(),
                        RowEncoder.SCALE_WINDOW);
        int[] candidates = new int[count * CHOICES];
        float[] copies = new float[rows.length * CHOICES];
        for (int row = 0; row < count; row++) {
            int plain = encoder.bestExponent(rows, row * n, n);
            for (int i = 0; i < CHOICES; i++) {
                int copy = row * CHOICES + i;
                candidates[copy] = Math.max(0, Math.min(255, plain - COARSER + i));
                System.arraycopy(rows, row * n, copies, copy * n, n);
            }
        }
        double[] losses =
                factors.ldlq()
                        .round(
                                copies,
                                candidates.length,
                                new TileCode(candidates, -1),
                                new float[copies.length]);
        int[] best = new int[count];
        for (int row = 0; row < count; row++) {
            int least = row * CHOICES;
            for (int copy = least; copy < (row + 1) * CHOICES; copy++) {
                least = losses[copy] < losses[least] ? copy : least;
            }
            best[row] = candidates[least];
        }
        return best;
    }

    /** Rows on the matrix's code with given exponents, written to it unless they are on trial. */
    private final class TileCode implements BlockCode {

        private final int[] exponents;
        private final int firstRow;
        private final int[] overloads;
        private final BlockEncoder encoder;
        private int row = -1;
        private float scale;

        TileCode(int[] exponents, int firstRow) {
            this.exponents = exponents;
            this.firstRow = firstRow;
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
            float step = scale * matrix.code().ladder().step(encoder.betaIndex());
            for (int i = 0; i < point.length; i++) {
                decoded[i] = step * point[i];
            }
            if (firstRow >= 0) {
                matrix.put(firstRow + row, column / width(), point, encoder.betaIndex());
            }
        }
    }
}
