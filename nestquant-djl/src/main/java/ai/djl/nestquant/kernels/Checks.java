package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Rows;

/** What the kernels' public methods check before the loops trust their arguments. */
final class Checks {
    private Checks() {}

    static void multiply(int rows, int columns, Int8Rows x, float[] y) {
        if (x.columns() != columns) {
            throw new IllegalArgumentException(
                    "x has " + x.columns() + " entries, the matrix " + columns + " columns");
        }
        if (y.length != (long) x.rows() * rows) {
            throw new IllegalArgumentException(
                    String.format(
                            "y has %d entries, %d rows of x times %d rows of the matrix need %d",
                            y.length, x.rows(), rows, (long) x.rows() * rows));
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
