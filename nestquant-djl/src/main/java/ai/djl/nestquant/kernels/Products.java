package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Rows;

/** How integer sums become floats, the same in every implementation. */
final class Products {
    private Products() {}

    /**
     * Returns {@code high·s_w·s_x}, or {@code (256·high + low)·s_w·s_x} for rows of 16 bits: exact
     * in double, where {@code s_w·s_x} comes first, and rounded to float once.
     */
    static float scaled(Int8Rows x, int high, int low, float rowScale, float scale) {
        double sum = x.low() == null ? high : 256.0 * high + low;
        return (float) (sum * ((double) rowScale * scale));
    }
}
