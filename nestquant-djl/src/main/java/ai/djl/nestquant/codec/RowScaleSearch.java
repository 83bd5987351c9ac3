package ai.djl.nestquant.codec;

/**
 * Finds a row's scale on the grid {@code tensorScale · 2^(−e/12)}: the exponent with the least
 * error.
 *
 * <p>All exponents around the Gaussian scale are tried, because the error of a row is no smooth
 * function of its scale: that roughness is what the search gains from. Where the best of them
 * cannot hold all blocks, the search goes on to coarser scales until one can, or a few in a row are
 * no better: what shortened blocks lose shrinks steadily with coarser scales, what all others lose
 * grows.
 *
 * <p>Holds scratch through its encoder: one instance per thread.
 */
final class RowScaleSearch {
    private static final int LARGEST_EXPONENT = 255;

    /** {@code 2^((i + 1/2)/12)}, correctly rounded: the exponents i and i + 1 are equally near. */
    private static final double[] HALF_WAY = {
        1.029302236643492,
        1.0905077326652577,
        1.155352696872273,
        1.2240535433046553,
        1.2968395546510096,
        1.3739536474580891,
        1.4556531828421873,
        1.5422108254079407,
        1.6339154532410998,
        1.7310731220122861,
        1.8340080864093424,
        1.9430638823072117
    };

    private final BlockEncoder encoder;
    private final float tensorScale;
    private final int window;
    private final int patience;
    private double least;
    private boolean leastOverloads;

    /**
     * Makes a search over {@code window} exponents to each side of the Gaussian scale, and more
     * while blocks overload and fewer than {@code patience} coarser scales in a row are no better.
     */
    RowScaleSearch(BlockEncoder encoder, float tensorScale, int window, int patience) {
        this.encoder = encoder;
        this.tensorScale = tensorScale;
        this.window = window;
        this.patience = patience;
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
        int centre = nearestExponent(tensorScale / scale);
        least = Double.POSITIVE_INFINITY;
        int best = clamp(centre);
        for (int i = 0; i <= 2 * window; i++) {
            // from the centre outwards: later exponents are given up early
            int e = clamp(centre + (i % 2 == 0 ? i / 2 : -(i + 1) / 2));
            best = improves(e, entries, start, columns) ? e : best;
        }
        // the best so far shortens blocks: a scale that covers more of them may be better
        int e = clamp(centre - window) - 1;
        for (; e >= clamp(best - patience) && leastOverloads; e--) {
            best = improves(e, entries, start, columns) ? e : best;
        }
        return best;
    }

    /** Returns {@code 12·log2(ratio)} rounded to an integer, without a logarithm's last bit. */
    static int nearestExponent(double ratio) {
        int octave = Math.getExponent(ratio);
        double fraction = Math.scalb(ratio, -octave);
        int exponent = PackedMatrix.STEPS_PER_OCTAVE * octave;
        for (double halfWay : HALF_WAY) {
            exponent += fraction >= halfWay ? 1 : 0;
        }
        return exponent;
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
