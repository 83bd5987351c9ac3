package ai.djl.nestquant.kernels;

/**
 * A float vector as integers times one power of two, {@code x[c] ≈ fixed[c]·2^−shift}, |fixed| ≤
 * 2^24: the largest entry keeps all bits of its significand, so that products with int8 rows are
 * exact integer sums and lose nothing to the order of summation.
 *
 * <p>{@code |x[c] − fixed[c]·2^−shift| ≤ 2^−24·max|x|}.
 */
final class FixedPoint {
    /** Bits of a float's significand; brings the largest entry to [2^23, 2^24]. */
    private static final int BITS = 23;

    private FixedPoint() {}

    /**
     * Chooses the power of two.
     *
     * @param x finite floats
     * @return the shift
     * @throws IllegalArgumentException if an entry is not finite
     */
    static int shift(float[] x) {
        return shift(x, BITS);
    }

    /**
     * Chooses the power of two that brings the largest entry to [2^bits, 2^(bits + 1)], so that
     * {@code |x[c] − fixed[c]·2^−shift| ≤ 2^−(bits + 1)·max|x|}.
     *
     * @param x finite floats
     * @param bits 1 to {@link #BITS}
     * @return the shift
     * @throws IllegalArgumentException if an entry is not finite
     */
    static int shift(float[] x, int bits) {
        int max = 0;
        for (float v : x) {
            max = Math.max(max, Float.floatToRawIntBits(v) & Integer.MAX_VALUE);
        }
        float largest = Float.intBitsToFloat(max);
        if (!(largest <= Float.MAX_VALUE)) {
            throw notFinite(x);
        }
        // as a double the least float is normal too; nothing is left to shift in 0
        return bits - Math.max(Math.getExponent((double) largest), Float.MIN_EXPONENT - BITS);
    }

    private static IllegalArgumentException notFinite(float[] x) {
        int c = 0;
        while (Float.isFinite(x[c])) {
            c++;
        }
        return new IllegalArgumentException("x[" + c + "] = " + x[c] + " is not finite");
    }

    /**
     * Rounds a vector to fixed point.
     *
     * @param x float [C]
     * @param shift from {@link #shift}
     * @param fixed receives the integers [C]
     */
    static void round(float[] x, int shift, int[] fixed) {
        double scale = power(shift);
        for (int c = 0; c < x.length; c++) {
            double v = x[c] * scale;
            // faster than Math.rint; halves go away from zero
            fixed[c] = (int) (v + Math.copySign(0.5, v));
        }
    }

    /** Returns {@code 2^exponent}, exponents within those of a double. */
    static double power(int exponent) {
        return Math.scalb(1.0, exponent);
    }
}
