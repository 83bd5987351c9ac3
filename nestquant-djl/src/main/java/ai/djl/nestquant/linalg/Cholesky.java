package ai.djl.nestquant.linalg;

import java.util.stream.IntStream;

/**
 * The Cholesky factor C of a symmetric positive definite matrix, {@code A = C·Cᵀ}, C lower
 * triangular, in double.
 *
 * <p>Left-looking by panels of {@value #PANEL} columns: what earlier columns take from a panel is a
 * matrix product whose inner loop runs along the panel's rows, {@code n³/3} multiplications in all.
 * Rows are shared out among the threads of the common pool; every entry is computed by one thread
 * in one order, so the factor does not depend on their number. Immutable and thread-safe.
 */
public final class Cholesky {

    private static final int PANEL = 64;

    /** Rows that a thread takes at once. */
    private static final int ROWS = 32;

    private final double[][] factor;

    private Cholesky(double[][] factor) {
        this.factor = factor;
    }

    /**
     * Factors a matrix in place.
     *
     * @param matrix A's lower triangle, row i holding i + 1 entries; the result's from now on
     * @return the factor
     * @throws NotPositiveDefiniteException if a pivot is not positive and finite
     */
    public static Cholesky factor(double[][] matrix) {
        int size = matrix.length;
        for (int i = 0; i < size; i++) {
            if (matrix[i].length != i + 1) {
                throw new IllegalArgumentException(
                        "row %d of a lower triangle has %d entries".formatted(i, matrix[i].length));
            }
        }
        double[][] panel = new double[size][PANEL];
        for (int start = 0; start < size; start += PANEL) {
            int first = start;
            int end = Math.min(size, start + PANEL);
            transpose(matrix, start, end, panel);
            forEachRow(start, size, row -> subtractEarlier(matrix[row], first, end, panel));
            factorDiagonal(matrix, start, end);
            forEachRow(end, size, row -> solveRow(matrix, matrix[row], first, end));
        }
        return new Cholesky(matrix);
    }

    /** Returns n. */
    public int size() {
        return factor.length;
    }

    /** Returns an entry of C; row ≥ column. */
    double entry(int row, int column) {
        return factor[row][column];
    }

    private interface RowBody {
        void accept(int row);
    }

    private static void forEachRow(int from, int to, RowBody body) {
        IntStream.range(0, (to - from + ROWS - 1) / ROWS)
                .parallel()
                .forEach(
                        chunk -> {
                            int end = Math.min(to, from + (chunk + 1) * ROWS);
                            for (int row = from + chunk * ROWS; row < end; row++) {
                                body.accept(row);
                            }
                        });
    }

    /** The panel's rows of the columns before it, {@code [start][PANEL]}. */
    private static void transpose(double[][] a, int start, int end, double[][] panel) {
        for (int row = start; row < end; row++) {
            for (int k = 0; k < start; k++) {
                panel[k][row - start] = a[row][k];
            }
        }
    }

    /** {@code A[row][start + j] −= Σ_k C[row][k]·C[start + j][k]} over the columns before start. */
    private static void subtractEarlier(double[] row, int start, int end, double[][] panel) {
        double[] sums = new double[PANEL];
        RowSums.add(sums, PANEL, row, 0, start, panel);
        for (int j = start; j < Math.min(end, row.length); j++) {
            row[j] -= sums[j - start];
        }
    }

    private static void factorDiagonal(double[][] a, int start, int end) {
        for (int j = start; j < end; j++) {
            double pivot = a[j][j];
            for (int k = start; k < j; k++) {
                pivot -= a[j][k] * a[j][k];
            }
            if (!(pivot > 0) || pivot == Double.POSITIVE_INFINITY) {
                throw new NotPositiveDefiniteException(j, pivot);
            }
            double root = Math.sqrt(pivot);
            a[j][j] = root;
            for (int i = j + 1; i < end; i++) {
                double sum = a[i][j];
                for (int k = start; k < j; k++) {
                    sum -= a[i][k] * a[j][k];
                }
                a[i][j] = sum / root;
            }
        }
    }

    /** Divides a row of the panel by the diagonal block's transpose. */
    private static void solveRow(double[][] a, double[] row, int start, int end) {
        for (int j = start; j < end; j++) {
            double sum = row[j];
            double[] divisor = a[j];
            for (int k = start; k < j; k++) {
                sum -= row[k] * divisor[k];
            }
            row[j] = sum / divisor[j];
        }
    }

    /**
     * Solves {@code A·X = B} in place for some right-hand sides.
     *
     * @param b B, {@code [n][count]}, becomes X
     */
    public void solve(double[][] b) {
        int count = b[0].length;
        for (int i = 0; i < b.length; i++) {
            double[] sums = new double[count];
            RowSums.add(sums, count, factor[i], 0, i, b);
            divideDifference(b[i], sums, factor[i][i]);
        }
        double[] column = new double[b.length];
        for (int i = b.length - 1; i >= 0; i--) {
            for (int k = i + 1; k < b.length; k++) {
                column[k] = factor[k][i];
            }
            double[] sums = new double[count];
            RowSums.add(sums, count, column, i + 1, b.length, b);
            divideDifference(b[i], sums, factor[i][i]);
        }
    }

    private static void divideDifference(double[] row, double[] sums, double divisor) {
        for (int j = 0; j < row.length; j++) {
            row[j] = (row[j] - sums[j]) / divisor;
        }
    }
}
