package ai.djl.nestquant.kernels;

/** What the kernels' public methods check before the loops trust their arguments. */
final class Checks {
    private Checks() {}

    static void multiply(int rows, int columns, float[] x, float[] y) {
        if (x.length != columns) {
            throw new IllegalArgumentException(
                    "x has " + x.length + " entries, the matrix " + columns + " columns");
        }
        if (y.length != rows) {
            throw new IllegalArgumentException(
                    "y has " + y.length + " entries, the matrix " + rows + " rows");
        }
    }

    static void rows(int rows, int columns, int from, int to, int available) {
        if (from < 0 || to < from || to > rows) {
            throw new IllegalArgumentException(
                    "rows " + from + " to " + to + " are not in a matrix of " + rows + " rows");
        }
        long needed = (long) (to - from) * columns;
        if (available < needed) {
            throw new IllegalArgumentException(
                    (to - from)
                            + " rows of "
                            + columns
                            + " columns need "
                            + needed
                            + " floats, the panel has "
                            + available);
        }
    }
}
