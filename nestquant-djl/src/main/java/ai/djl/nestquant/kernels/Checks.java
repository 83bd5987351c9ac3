package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;

/** What the kernels' public methods check before the loops trust their arguments. */
final class Checks {
    private Checks() {}

    static void multiply(PackedMatrix w, float[] x, float[] y) {
        if (x.length != w.columns()) {
            throw new IllegalArgumentException(
                    "x has " + x.length + " entries, the matrix " + w.columns() + " columns");
        }
        if (y.length != w.rows()) {
            throw new IllegalArgumentException(
                    "y has " + y.length + " entries, the matrix " + w.rows() + " rows");
        }
    }

    static void rows(PackedMatrix w, int from, int to, int available) {
        if (from < 0 || to < from || to > w.rows()) {
            throw new IllegalArgumentException(
                    "rows " + from + " to " + to + " are not in a matrix of " + w.rows() + " rows");
        }
        long needed = (long) (to - from) * w.columns();
        if (available < needed) {
            throw new IllegalArgumentException(
                    (to - from)
                            + " rows of "
                            + w.columns()
                            + " columns need "
                            + needed
                            + " floats, the panel has "
                            + available);
        }
    }
}
