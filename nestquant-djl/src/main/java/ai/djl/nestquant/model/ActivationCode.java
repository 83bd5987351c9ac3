package ai.djl.nestquant.model;

import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BlockEncoder;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.Ladder;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.util.stream.IntStream;

/**
 * Puts the rotated activations of tokens on int8 vectors with one scale each (NestQuant paper,
 * section 4).
 *
 * <p>With 4 bits an entry is that of a 16·E8 code on the ladder 3:4:5:7, exactly as weights are
 * coded; with 8 or 16 bits it is rounded on a scale that the largest entry sets. 16 bits stand in
 * for floats: an entry is off by at most 1/65278 of the token's largest. Stateless and safe for
 * concurrent use.
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
     * Codes the tokens of a batch.
     *
     * @param rows {@code [tokens][columns]}, rotated
     * @param tokens the number of rows
     * @param bits 4, 8 or 16
     * @return the integers and scales
     * @throws IllegalArgumentException if an entry is not finite
     */
    static Int8Rows code(float[] rows, int tokens, int bits) {
        if (bits != 4) {
            return Int8Rows.round(rows, tokens, bits);
        }
        int columns = tokens == 0 ? 0 : rows.length / tokens;
        byte[] integers = new byte[rows.length];
        float[] scales = new float[tokens];
        IntStream range = IntStream.range(0, tokens);
        (tokens < PARALLEL_TOKENS ? range : range.parallel())
                .forEach(
                        token ->
                                scales[token] =
                                        new LatticeRow(rows, token * columns, columns)
                                                .code(integers));
        return new Int8Rows(tokens, columns, integers, null, scales);
    }

    /** One token on the lattice: tries several scales and keeps the best. */
    private static final class LatticeRow {

        private final BlockEncoder encoder =
                new BlockEncoder(
                        PackedCode.E8_16.cosets(),
                        PackedCode.E8_16.ladder().betas(),
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

        /** Writes the row's integers and returns their scale. */
        float code(byte[] integers) {
            if (!(unit <= Float.MAX_VALUE)) {
                throw new IllegalArgumentException("an activation is not finite");
            }
            if (unit == 0) {
                return 0;
            }
            int best = 0;
            overloaded = false;
            for (int trial = -TRIALS_EACH_SIDE; trial <= TRIALS_EACH_SIDE; trial++) {
                best = improves(trial) ? trial : best;
            }
            for (int trial = TRIALS_EACH_SIDE + 1; overloaded && trial <= COARSEST_TRIAL; trial++) {
                best = improves(trial) ? trial : best;
            }
            write(scale(best), integers);
            return scale(best);
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

        private void write(float scale, byte[] integers) {
            encoder.setRowScale(scale);
            for (int i = start; i < end; i += PackedMatrix.BLOCK) {
                encoder.encode(rows, i);
                int step = PackedCode.E8_16.ladder().step(encoder.betaIndex());
                int[] y = encoder.point();
                for (int j = 0; j < PackedMatrix.BLOCK; j++) {
                    integers[i + j] = (byte) (step * y[j]);
                }
            }
        }
    }
}
