package ai.djl.nestquant.pipeline;

/**
 * What no code of a given rate can beat, for independent N(0,1) entries.
 *
 * <p>Stateless and thread-safe.
 */
public final class RateBounds {
    /**
     * R*, where the bound of products stops being linear: the positive root of {@code 4^R = 1 +
     * 4·R·ln 2}, about 0.906 bits.
     *
     * <p>There the tangent of φ (see {@link #productError}) passes through (0, 1): with {@code t =
     * 4^−R}, {@code φ(R) − R·φ'(R) = 1} reads {@code (1 − t)² = 4·R·ln 2·t·(1 − t)}.
     */
    public static final double CRITICAL_RATE = criticalRate();

    private RateBounds() {}

    private static double criticalRate() {
        double low = 0.5;
        double high = 2;
        for (int i = 0; i < 60; i++) {
            double middle = (low + high) / 2;
            if (Math.pow(4, middle) < 1 + 4 * middle * Math.log(2)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return (low + high) / 2;
    }

    /**
     * Returns Shannon's least mean squared error per entry, {@code D(R) = 2^(−2R)}.
     *
     * @param rate R, bits per entry
     * @return the least distortion
     */
    public static double distortion(double rate) {
        return Math.pow(2, -2 * rate);
    }

    /**
     * Returns the least mean squared error of an entry of AᵀB, divided by n, when A and B (n rows
     * of independent N(0,1) entries) are stored separately with R bits per entry each.
     *
     * <p>Γ(R) is the lower convex envelope of {@code min(1, φ(R))} through Γ(0) = 1, {@code φ(R) =
     * 2·2^(−2R) − 2^(−4R)}: φ itself from {@link #CRITICAL_RATE} on, and the tangent {@code 1 − (1
     * − φ(R*))·R/R*} below (Ordentlich and Polyanskiy, "Optimal quantization for matrix
     * multiplication", arXiv 2410.13780).
     *
     * @param rate R, bits per entry of either matrix
     * @return Γ(R)
     */
    public static double productError(double rate) {
        if (rate < CRITICAL_RATE) {
            return 1 - (1 - naiveProductError(CRITICAL_RATE)) * rate / CRITICAL_RATE;
        }
        return naiveProductError(rate);
    }

    /** φ(R): both matrices at Shannon's bound, nothing shared between their codes. */
    private static double naiveProductError(double rate) {
        double d = distortion(rate);
        return 2 * d - d * d;
    }

    /**
     * Returns {@code 10·log10(value / bound)}.
     *
     * @param value what a code reaches
     * @param bound what no code can beat
     * @return decibels above the bound
     */
    public static double decibels(double value, double bound) {
        return 10 * Math.log10(value / bound);
    }
}
