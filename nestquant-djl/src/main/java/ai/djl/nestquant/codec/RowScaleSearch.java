package ai.djl.nestquant.codec;

/**
 * Finds a row's scale on the grid {@code tensorScale · 2^(−e/12)}: the exponent with the least
 * error.
 *
 * <p>All exponents around the Gaussian scale are tried, because the error of a row is no smooth
 * function of its scale: that roughness is what the search gains from. Where the best of them
 * cannot hold all blocks, the search goes on to coarser scales until one can.
 *
 * <p>Holds scratch through its encoder: one instance per thread.
 */
final class RowScaleSearch {
    private static final int LARGEST_EXPONENT = 255;

    private final BlockEncoder encoder;
    private final float tensorScale;
    private final int window;
    private double least;
    private boolean leastOverloads;

    /** Makes a search over {@code window} exponents to each side of the Gaussian scale. */
    RowScaleSearch(BlockEncoder encoder, float tensorScale, int window) {
        this.encoder = encoder;
        this.tensorScale = tensorScale;
        this.window = window;
    }

    /**
     * Returns the best exponent for a row of columns entries from {@code start} on with squared
     * norm {@code norm}.
     */
    int bestExponent(float[] entries, int start, int columns, double norm) {
        if (norm == 0) {
            return 0;
        }
        double scale = encoder.betas().unit() * Math.sqrt(norm / columns);
        double octaves = Math.log(tensorScale / scale) / Math.log(2);
        int centre = (int) Math.round(PackedMatrix.STEPS_PER_OCTAVE * octaves);
        int coarsest = clamp(centre - window);
        int finest = clamp(centre + window);
        least = Double.POSITIVE_INFINITY;
        int best = coarsest;
        for (int e = coarsest; e <= finest; e++) {
            best = improves(e, entries, start, columns) ? e : best;
        }
        // the best so far shortens blocks: a scale that covers more of them may be better
        for (int e = coarsest - 1; e >= 0 && leastOverloads; e--) {
            best = improves(e, entries, start, columns) ? e : best;
        }
        return best;
    }

    private boolean improves(int exponent, float[] entries, int start, int columns) {
        encoder.setRowScale(PackedMatrix.rowScale(tensorScale, exponent));
        double error = 0;
        boolean overloads = false;
        for (int i = 0; i < columns && error < least; i += PackedMatrix.BLOCK) {
            error += encoder.encode(entries, start + i);
            overloads |= encoder.overloaded();
        }
        boolean improves = error < least;
        if (improves) {
            least = error;
            leastOverloads = overloads;
        }
        return improves;
    }

    private static int clamp(int exponent) {
        return Math.max(0, Math.min(LARGEST_EXPONENT, exponent));
    }
}
