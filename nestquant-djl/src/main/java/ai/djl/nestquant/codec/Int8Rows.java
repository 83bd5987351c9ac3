package ai.djl.nestquant.codec;

/**
 * Rows of integers with one float scale each, as kernels multiply them: activations of tokens, or
 * query heads. An entry is {@code scale · high}, or {@code scale · (256·high + low)} where 16 bits
 * are kept in two planes of int8.
 *
 * <p>Not copied from the arrays given; thread-safe as long as nobody writes to these.
 */
public final class Int8Rows {
    private static final int LARGEST_8 = 127;

    /** With it, high and low both stay within −128 to 127. */
    private static final int LARGEST_16 = 127 * 256 + 127;

    /** Below it a row is zero: its inverse would not be a float. */
    private static final float SMALLEST = 1e-30f;

    private final int rows;
    private final int columns;
    private final byte[] high;
    private final byte[] low;
    private final float[] scales;

    /**
     * Makes rows over given arrays.
     *
     * @param rows number of rows
     * @param columns number of columns
     * @param high int8 [rows][columns]
     * @param low int8 [rows][columns], or null for rows of 8 bits
     * @param scales float [rows]
     * @throws IllegalArgumentException if a length does not fit
     */
    public Int8Rows(int rows, int columns, byte[] high, byte[] low, float[] scales) {
        long entries = (long) rows * columns;
        if (high.length != entries
                || low != null && low.length != entries
                || scales.length != rows) {
            throw new IllegalArgumentException(
                    String.format(
                            "%d x %d integers and %d scales needed, got %d, %s and %d",
                            rows,
                            columns,
                            rows,
                            high.length,
                            low == null ? "none" : low.length,
                            scales.length));
        }
        this.rows = rows;
        this.columns = columns;
        this.high = high;
        this.low = low;
        this.scales = scales;
    }

    /**
     * Rounds rows to 8 or 16 bits, {@code q = rint(x · (Q / max|x|))} in float arithmetic, Q = 127
     * or 32639: the error of an entry is at most half of max|x|/Q.
     *
     * @param x float [rows][columns]
     * @param rows number of rows
     * @param bits 8 or 16
     * @return the rows
     * @throws IllegalArgumentException if an entry is not finite, naming its position
     */
    public static Int8Rows round(float[] x, int rows, int bits) {
        int columns = rows == 0 ? 0 : x.length / rows;
        byte[] high = new byte[x.length];
        byte[] low = bits == 8 ? null : new byte[x.length];
        float[] scales = new float[rows];
        int top = bits == 8 ? LARGEST_8 : LARGEST_16;
        for (int row = 0; row < rows; row++) {
            int start = row * columns;
            float largest = largest(x, start, columns);
            if (largest < SMALLEST) {
                continue;
            }
            float factor = top / largest;
            scales[row] = largest / top;
            for (int i = start; i < start + columns; i++) {
                int q = (int) Math.rint(x[i] * factor);
                if (low == null) {
                    high[i] = (byte) q;
                } else {
                    high[i] = (byte) (q + 128 >> 8);
                    low[i] = (byte) q;
                }
            }
        }
        return new Int8Rows(rows, columns, high, low, scales);
    }

    private static float largest(float[] x, int start, int columns) {
        float largest = 0;
        for (int i = start; i < start + columns; i++) {
            if (!Float.isFinite(x[i])) {
                throw new IllegalArgumentException(
                        String.format(
                                "x[%d] of row %d = %s is not finite",
                                i - start, columns == 0 ? 0 : start / columns, x[i]));
            }
            largest = Math.max(largest, Math.abs(x[i]));
        }
        return largest;
    }

    /** Returns the number of rows. */
    public int rows() {
        return rows;
    }

    /** Returns the number of columns. */
    public int columns() {
        return columns;
    }

    /** Returns the integers, or their upper 8 bits, int8 [rows][columns]; not a copy. */
    public byte[] high() {
        return high;
    }

    /** Returns the lower 8 bits of the integers, int8 [rows][columns], or null; not a copy. */
    public byte[] low() {
        return low;
    }

    /** Returns the scales, float [rows]; not a copy. */
    public float[] scales() {
        return scales;
    }

    /**
     * Returns the floats that the rows stand for.
     *
     * @return float [rows][columns]
     */
    public float[] decode() {
        float[] x = new float[high.length];
        for (int i = 0; i < x.length; i++) {
            int q = low == null ? high[i] : 256 * high[i] + low[i];
            x[i] = scales[i / columns] * q;
        }
        return x;
    }
}
