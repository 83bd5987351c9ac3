package ai.djl.nestquant.calibration;

import ai.djl.nestquant.linalg.Cholesky;
import ai.djl.nestquant.linalg.RowSums;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * What a weight U should be when its inputs are noisy: the minimiser of {@code E‖W·x − U·(x + z)‖²}
 * with z of covariance J and uncorrelated to x, {@code U = W·H·(H + J)⁻¹ = W − W·J·(H + J)⁻¹}
 * (QA-LDLQ; NestQuant paper). Immutable and thread-safe.
 */
public final class QaTarget {

    /** Columns that are solved for at once, by one thread. */
    private static final int COLUMNS = 64;

    private final float[][] negativeShift;

    /**
     * Prepares targets.
     *
     * @param noise J, {@code [n][n]}
     * @param cholesky of H + J
     */
    public QaTarget(float[] noise, Cholesky cholesky) {
        int n = cholesky.size();
        negativeShift = new float[n][n];
        IntStream.range(0, (n + COLUMNS - 1) / COLUMNS)
                .parallel()
                .forEach(chunk -> solve(noise, cholesky, chunk * COLUMNS));
    }

    /** Rows of {@code −J·(H + J)⁻¹}, found as columns of its transpose, since J is symmetric. */
    private void solve(float[] noise, Cholesky cholesky, int first) {
        int n = cholesky.size();
        int count = Math.min(COLUMNS, n - first);
        double[][] columns = new double[n][count];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < count; j++) {
                columns[i][j] = -noise[i * n + first + j];
            }
        }
        cholesky.solve(columns);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < count; j++) {
                negativeShift[first + j][i] = (float) columns[i][j];
            }
        }
    }

    /**
     * Moves rows from W to U in place.
     *
     * @param rows {@code [count][n]}
     * @param count the number of rows
     */
    public void apply(float[] rows, int count) {
        int n = negativeShift.length;
        for (int start = 0; start < count * n; start += n) {
            float[] weights = Arrays.copyOfRange(rows, start, start + n);
            float[] moved = weights.clone();
            RowSums.add(moved, 0, n, weights, 0, n, negativeShift);
            System.arraycopy(moved, 0, rows, start, n);
        }
    }
}
