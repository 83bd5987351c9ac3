package ai.djl.nestquant.calibration;

import ai.djl.nestquant.linalg.Cholesky;

/**
 * What a weight U should be when its inputs are noisy: the minimiser of {@code E‖W·x − U·(x + z)‖²}
 * with z of covariance J and uncorrelated to x, {@code U = W·H·(H + J)⁻¹ = W − W·J·(H + J)⁻¹}
 * (QA-LDLQ; NestQuant paper). Immutable and thread-safe.
 */
public final class QaTarget {

    private final float[] noise;
    private final Cholesky cholesky;

    /**
     * Prepares targets.
     *
     * @param noise J, {@code [n][n]}; not copied
     * @param cholesky of H + J
     */
    public QaTarget(float[] noise, Cholesky cholesky) {
        this.noise = noise;
        this.cholesky = cholesky;
    }

    /**
     * Moves rows from W to U in place.
     *
     * @param rows {@code [count][n]}
     * @param count the number of rows
     */
    public void apply(float[] rows, int count) {
        int n = cholesky.size();
        double[] columns = new double[n * count];
        for (int row = 0; row < count; row++) {
            for (int i = 0; i < n; i++) {
                columns[i * count + row] = rows[row * n + i];
            }
        }
        double[] shift = new double[n * count];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < n; k++) {
                addScaled(shift, i * count, noise[i * n + k], columns, k * count, count);
            }
        }
        cholesky.solve(shift, count);
        for (int row = 0; row < count; row++) {
            for (int i = 0; i < n; i++) {
                rows[row * n + i] -= (float) shift[i * count + row];
            }
        }
    }

    private static void addScaled(
            double[] to, int at, double factor, double[] from, int start, int count) {
        for (int j = 0; j < count; j++) {
            to[at + j] += factor * from[start + j];
        }
    }
}
