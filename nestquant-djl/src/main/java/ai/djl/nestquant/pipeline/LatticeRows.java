package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BetaSet;
import ai.djl.nestquant.codec.BlockEncoder;
import ai.djl.nestquant.codec.RowQuantizer;
import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Arrays;

/**
 * A union of Voronoi codes on rows normalised by their root mean square, stored as a float
 * (NestQuant paper, section 4).
 *
 * <p>Rate {@code log2|E8/Λc|/8 + log2(k)/8 + 32/columns}. Immutable and thread-safe.
 *
 * @param code the cosets
 * @param betas the k scales, in units of the root mean square times {@code unit}
 * @param unit 1, or the ladder's u
 */
record LatticeRows(VoronoiCode code, BetaSet betas, double unit) implements RowQuantizer {
    private static final int BLOCK = GossetLattice.DIMENSION;

    @Override
    public String name() {
        return code.name() + " k=" + betas.size();
    }

    @Override
    public double bitsPerEntry(int columns) {
        return code.bitsPerEntry() + betas.indexBitsPerEntry() + 32.0 / columns;
    }

    @Override
    public int quantize(float[] row, int offset, int columns, float[] decoded) {
        if (columns < BLOCK || columns % BLOCK != 0) {
            throw new IllegalArgumentException(
                    "row length " + columns + " is not a multiple of " + BLOCK);
        }
        double sum = 0;
        for (int i = offset; i < offset + columns; i++) {
            sum += (double) row[i] * row[i];
        }
        float scale = (float) (unit * Math.sqrt(sum / columns));
        if (!(scale <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(
                    "the row at offset " + offset + " holds entries that are no finite numbers");
        }
        if (scale == 0) {
            Arrays.fill(decoded, offset, offset + columns, 0);
            return 0;
        }
        BlockEncoder encoder = new BlockEncoder(code, betas, BetaPolicy.BEST_FIT);
        encoder.setRowScale(scale);
        int overloads = 0;
        for (int at = offset; at < offset + columns; at += BLOCK) {
            encoder.encode(row, at);
            overloads += encoder.overloaded() ? 1 : 0;
            float half = (float) (betas.beta(encoder.betaIndex()) * scale / 2);
            int[] point = encoder.point();
            for (int i = 0; i < BLOCK; i++) {
                decoded[at + i] = half * point[i];
            }
        }
        return overloads;
    }
}
