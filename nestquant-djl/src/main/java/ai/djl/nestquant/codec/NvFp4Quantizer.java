package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * NVFP4: E2M1 entries, one E4M3 scale per group of 16 and one float scale per tensor.
 *
 * <p>{@code tensorScale = max|tensor| / (6·448)}, {@code scale = E4M3(max|x| / 6 / tensorScale)},
 * {@code x̂ = tensorScale · scale · E2M1(x / (tensorScale · scale))}. Rate 4.5. Immutable and
 * thread-safe.
 */
public final class NvFp4Quantizer extends GroupQuantizer {
    private static final int GROUP = 16;

    private final float tensorScale;

    /**
     * Makes a quantiser for the rows of one tensor.
     *
     * @param largestMagnitude max|x| over the tensor, positive and finite
     * @throws IllegalArgumentException if it is neither
     */
    public NvFp4Quantizer(float largestMagnitude) {
        super("NVFP4", GROUP);
        float scale = largestMagnitude / FloatFormat.E2M1.largest() / FloatFormat.E4M3.largest();
        if (!(scale >= Float.MIN_NORMAL && scale <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(
                    "largest magnitude " + largestMagnitude + " gives no usable tensor scale");
        }
        this.tensorScale = scale;
    }

    @Override
    public double bitsPerEntry(int columns) {
        return 4 + 8.0 / GROUP;
    }

    @Override
    void prepareRow(float[] row, int offset, int columns) {
        float largest = absmax(row, offset, columns);
        float limit = tensorScale * FloatFormat.E2M1.largest() * FloatFormat.E4M3.largest();
        // a rounding error of the two divisions above is no reason to complain
        if (largest > limit * 1.0001f) {
            throw new IllegalArgumentException(
                    "the row at offset "
                            + offset
                            + " holds the magnitude "
                            + largest
                            + ", the tensor's largest was given as "
                            + limit);
        }
    }

    @Override
    boolean quantizeGroup(float[] row, int offset, int size, float[] decoded) {
        float largest = absmax(row, offset, size);
        float exact = largest / FloatFormat.E2M1.largest() / tensorScale;
        float scale = FloatFormat.E4M3.round(exact) * tensorScale;
        if (scale == 0) {
            Arrays.fill(decoded, offset, offset + size, 0);
            return largest > 0;
        }
        for (int i = offset; i < offset + size; i++) {
            decoded[i] = FloatFormat.E2M1.round(row[i] / scale) * scale;
        }
        return false;
    }
}
