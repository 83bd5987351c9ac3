package ai.djl.nestquant.codec;

/**
 * Finds a row's scale on the grid {@code tensorScale · 2^(−e/12)}: the exponent with the least
 * error.
 *
 * <p>All exponents around the Gaussian unit are tried, because the error of a row is no smooth
 * function of its scale: that roughness is what the search gains from. Where blocks overload at the
 * coarse end of that window, the search goes on to coarser scales while they improve.
 *
 * <p>Holds scratch through its encoder: one instance per thread.
 */
final class RowScaleSearch {
    private static final int LARGEST_EXPONENT = 255;

    /** Exponents tried on the finer side of the Gaussian unit, and on the coarser side. */
    private static final int FINER = 4;

    private static final int COARSER = 4;

    private final BlockEncoder encoder;
    private final float tensorScale;
    private double least;

    RowScaleSearch(BlockEncoder encoder, float tensorScale) {
        this.encoder = encoder;
        this.tensorScale = tensorScale;
    }

    /**
     * Returns the best exponent for a row of columns entries from {@code start} on with squared
     * norm {@code norm}.
     */
    int bestExponent(float[] entries, int start, int columns, double norm) {
        if (norm == 0) {
            return 0;
        }
        double unit = PackedMatrix.LADDER.unit() * Math.sqrt(norm / columns);
        double octaves = Math.log(tensorScale / unit) / Math.log(2);
        int centre = (int) Math.round(PackedMatrix.STEPS_PER_OCTAVE * octaves);
        int coarsest = clamp(centre - COARSER);
        int finest = clamp(centre + FINER);
        least = Double.POSITIVE_INFINITY;
        int best = coarsest;
        for (int e = coarsest; e <= finest; e++) {
            best = improves(e, entries, start, columns) ? e : best;
        }
        while (best == coarsest && coarsest > 0) {
            coarsest--;
            best = improves(coarsest, entries, start, columns) ? coarsest : best;
        }
        return best;
    }

    private boolean improves(int exponent, float[] entries, int start, int columns) {
        encoder.setRowScale(PackedMatrix.rowScale(tensorScale, exponent));
        double error = 0;
        for (int i = 0; i < columns && error < least; i += PackedMatrix.BLOCK) {
            error += encoder.encode(entries, start + i);
        }
        boolean improves = error < least;
        least = improves ? error : least;
        return improves;
    }

    private static int clamp(int exponent) {
        return Math.max(0, Math.min(LARGEST_EXPONENT, exponent));
    }
}
