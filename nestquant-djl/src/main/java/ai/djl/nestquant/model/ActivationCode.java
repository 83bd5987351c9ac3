package ai.djl.nestquant.model;

import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BlockEncoder;
import ai.djl.nestquant.codec.Ladder;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import java.util.stream.IntStream;

/**
 * Puts the rotated activations of tokens on int8 vectors with one scale each (NestQuant paper,
 * section 4).
 *
 * <p>With 4 bits an entry is that of a 16·E8 code on the ladder 3:4:5:7, exactly as weights are
 * coded; with 8 bits it is rounded on a scale that the largest entry sets. The result stands in the
 * float array as {@code scale · integer}, so that step and prefill multiply the same numbers.
 * Stateless and safe for concurrent use.
 */
final class ActivationCode {

    /** Below this many tokens threads cost more than they bring. */
    private static final int PARALLEL_TOKENS = 4;

    /** Scales tried around the one that suits Gaussian entries, in steps of 2^(1/12). */
    private static final int TRIALS_EACH_SIDE = 2;

    /** Far coarser than any row needs: 2^10 times the Gaussian scale. */
    private static final int COARSEST_TRIAL = 120;

    private ActivationCode() {}

    /**
     * Codes the tokens of a batch in place.
     *
     * @param rows {@code [tokens][columns]}, rotated
     * @param tokens the number of rows
     * @param bits 4 or 8; 0 leaves the rows as they are
     */
    static void apply(float[] rows, int tokens, int bits) {
        if (bits == 0 || tokens == 0) {
            return;
        }
        int columns = rows.length / tokens;
        IntStream range = IntStream.range(0, tokens);
        (tokens < PARALLEL_TOKENS ? range : range.parallel())
                .forEach(
                        token -> {
                            if (bits == 8) {
                                roundToInt8(rows, token * columns, columns);
                            } else {
                                new LatticeRow(rows, token * columns, columns).code();
                            }
                        });
    }

    private static void roundToInt8(float[] rows, int start, int columns) {
        float largest = 0;
        for (int i = start; i < start + columns; i++) {
            largest = Math.max(largest, Math.abs(rows[i]));
        }
        if (largest == 0) {
            return;
        }
        float scale = largest / Byte.MAX_VALUE;
        for (int i = start; i < start + columns; i++) {
            rows[i] = Math.round(rows[i] / scale) * scale;
        }
    }

    /** One token on the lattice: tries several scales and keeps the best. */
    private static final class LatticeRow {

        private final BlockEncoder encoder =
                new BlockEncoder(
                        PackedMatrixEncoder.CODE,
                        PackedMatrix.LADDER.betas(),
                        BetaPolicy.INNER_FIT);
        private final float[] rows;
        private final int start;
        private final int end;
        private final double unit;
        private double least = Double.POSITIVE_INFINITY;
        private boolean overloaded;

        LatticeRow(float[] rows, int start, int columns) {
            this.rows = rows;
            this.start = start;
            end = start + columns;
            double norm = 0;
            for (int i = start; i < end; i++) {
                norm += (double) rows[i] * rows[i];
            }
            unit = Ladder.E8_16.unit() * Math.sqrt(norm / columns);
        }

        void code() {
            if (unit == 0) {
                return;
            }
            int best = 0;
            overloaded = false;
            for (int trial = -TRIALS_EACH_SIDE; trial <= TRIALS_EACH_SIDE; trial++) {
                best = improves(trial) ? trial : best;
            }
            for (int trial = TRIALS_EACH_SIDE + 1; overloaded && trial <= COARSEST_TRIAL; trial++) {
                best = improves(trial) ? trial : best;
            }
            write(scale(best));
        }

        private float scale(int trial) {
            return (float) (unit * Math.pow(2, trial / 12.0));
        }

        private boolean improves(int trial) {
            encoder.setRowScale(scale(trial));
            double error = 0;
            boolean anyOverload = false;
            for (int i = start; i < end && error < least; i += PackedMatrix.BLOCK) {
                error += encoder.encode(rows, i);
                anyOverload |= encoder.overloaded();
            }
            if (error < least) {
                least = error;
                overloaded = anyOverload;
                return true;
            }
            return false;
        }

        private void write(float scale) {
            encoder.setRowScale(scale);
            for (int i = start; i < end; i += PackedMatrix.BLOCK) {
                encoder.encode(rows, i);
                float step = scale * PackedMatrix.LADDER.step(encoder.betaIndex());
                int[] y = encoder.point();
                for (int j = 0; j < PackedMatrix.BLOCK; j++) {
                    rows[i + j] = step * y[j];
                }
            }
        }
    }
}
