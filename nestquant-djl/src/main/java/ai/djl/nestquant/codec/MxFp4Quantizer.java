package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * MXFP4 of the OCP microscaling specification: E2M1 entries, one power-of-two scale (E8M0) per
 * group of 32.
 *
 * <p>{@code scale = 2^(floor(log2 max|x|) − 2)}, 2 being the exponent of E2M1's largest number 6;
 * entries beyond 6·scale saturate. Rate 4.25. Immutable and thread-safe.
 */
public final class MxFp4Quantizer extends GroupQuantizer {
    private static final int GROUP = 32;
    private static final int LARGEST_EXPONENT = 2;

    /** E8M0 stores exponents −127 … 127. */
    private static final int SMALLEST_SCALE = -127;

    /** Makes a quantiser. */
    public MxFp4Quantizer() {
        super("MXFP4", GROUP);
    }

    @Override
    public double bitsPerEntry(int columns) {
        return 4 + 8.0 / GROUP;
    }

    @Override
    boolean quantizeGroup(float[] row, int offset, int size, float[] decoded) {
        float largest = absmax(row, offset, size);
        if (largest == 0) {
            Arrays.fill(decoded, offset, offset + size, 0);
            return false;
        }
        int exponent = Math.max(Math.getExponent(largest) - LARGEST_EXPONENT, SMALLEST_SCALE);
        double scale = Math.scalb(1.0, exponent);
        for (int i = offset; i < offset + size; i++) {
            decoded[i] = (float) (FloatFormat.E2M1.round((float) (row[i] / scale)) * scale);
        }
        return largest > FloatFormat.E2M1.largest() * scale;
    }
}
