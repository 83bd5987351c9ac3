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

    private final int size;
    private final double[] factor;

    private Cholesky(double[] factor, int size) {
        this.factor = factor;
        this.size = size;
    }

    /**
     * Factors a matrix in place.
     *
     * @param matrix A, {@code [size][size]}, of which only the lower triangle is read; the result's
     *     from now on
     * @param size n, positive
     * @return the factor
     * @throws NotPositiveDefiniteException if a pivot is not positive and finite
     */
    public static Cholesky factor(double[] matrix, int size) {
        if (size < 1 || matrix.length != (long) size * size) {
            throw new IllegalArgumentException(
                    matrix.length + " entries are no matrix of " + size + " x " + size);
        }
        double[] panel = new double[size * PANEL];
        for (int start = 0; start < size; start += PANEL) {
            int width = Math.min(PANEL, size - start);
            transpose(matrix, size, start, width, panel);
            int first = start;
            forEachRows(
                    start, size, row -> subtractEarlier(matrix, size, row, first, width, panel));
            factorDiagonal(matrix, size, start, width);
            forEachRows(start + width, size, row -> solveRow(matrix, size, row, first, width));
        }
        return new Cholesky(matrix, size);
    }

    /** Returns n. */
    public int size() {
        return size;
    }

    /** Returns an entry of C; row ≥ column. */
    double entry(int row, int column) {
        return factor[row * size + column];
    }

    private interface RowBody {
        void accept(int row);
    }

    private static void forEachRows(int from, int to, RowBody body) {
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

    /** The panel's rows of the columns before it, {@code [start][PANEL]}: contiguous along rows. */
    private static void transpose(double[] a, int size, int start, int width, double[] panel) {
        for (int j = 0; j < width; j++) {
            for (int k = 0; k < start; k++) {
                panel[k * PANEL + j] = a[(start + j) * size + k];
            }
        }
    }

    /** {@code A[row][start + j] −= Σ_k C[row][k]·C[start + j][k]} over the columns before start. */
    private static void subtractEarlier(
            double[] a, int size, int row, int start, int width, double[] panel) {
        double[] sums = new double[PANEL];
        int at = row * size;
        for (int k = 0; k < start; k += 4) { // start is a multiple of PANEL
            addFour(sums, a[at + k], a[at + k + 1], a[at + k + 2], a[at + k + 3], panel, k * PANEL);
        }
        for (int j = 0; j < width; j++) {
            a[at + start + j] -= sums[j];
        }
    }

    private static void addFour(
            double[] sums, double c0, double c1, double c2, double c3, double[] panel, int at) {
        for (int j = 0; j < PANEL; j++) {
            sums[j] +=
                    c0 * panel[at + j]
                            + c1 * panel[at + PANEL + j]
                            + c2 * panel[at + 2 * PANEL + j]
                            + c3 * panel[at + 3 * PANEL + j];
        }
    }

    private static void factorDiagonal(double[] a, int size, int start, int width) {
        for (int j = start; j < start + width; j++) {
            double pivot = a[j * size + j];
            for (int k = start; k < j; k++) {
                pivot -= a[j * size + k] * a[j * size + k];
            }
            if (!(pivot > 0) || pivot == Double.POSITIVE_INFINITY) {
                throw new NotPositiveDefiniteException(j, pivot);
            }
            double root = Math.sqrt(pivot);
            a[j * size + j] = root;
            for (int i = j + 1; i < start + width; i++) {
                double sum = a[i * size + j];
                for (int k = start; k < j; k++) {
                    sum -= a[i * size + k] * a[j * size + k];
                }
                a[i * size + j] = sum / root;
            }
        }
    }

    /** Divides a row of the panel by the diagonal block's transpose. */
    private static void solveRow(double[] a, int size, int row, int start, int width) {
        int at = row * size;
        for (int j = start; j < start + width; j++) {
            double sum = a[at + j];
            for (int k = start; k < j; k++) {
                sum -= a[at + k] * a[j * size + k];
            }
            a[at + j] = sum / a[j * size + j];
        }
    }

    /**
     * Solves {@code A·X = B} in place for a few right-hand sides.
     *
     * @param b B, {@code [n][count]}, becomes X
     * @param count the number of columns; multiples of 8 are fast
     */
    public void solve(double[] b, int count) {
        for (int i = 0; i < size; i++) {
            for (int k = 0; k < i; k++) {
                subtract(b, i * count, factor[i * size + k], k * count, count);
            }
            divide(b, i * count, factor[i * size + i], count);
        }
        for (int i = size - 1; i >= 0; i--) {
            divide(b, i * count, factor[i * size + i], count);
            for (int k = 0; k < i; k++) { // along row i of C, which is column i of its transpose
                subtract(b, k * count, factor[i * size + k], i * count, count);
            }
        }
    }

    private static void subtract(double[] b, int to, double factor, int from, int count) {
        for (int j = 0; j < count; j++) {
            b[to + j] -= factor * b[from + j];
        }
    }

    private static void divide(double[] b, int at, double divisor, int count) {
        for (int j = 0; j < count; j++) {
            b[at + j] /= divisor;
        }
    }
}
