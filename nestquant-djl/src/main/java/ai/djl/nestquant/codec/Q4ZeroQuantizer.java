package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * The rule of Q4_0: groups of 32, integers −8 … 7, one fp16 scale whose sign puts the entry of
 * largest magnitude at −8.
 *
 * <p>With x_max that entry and {@code d = x_max / −8}, an entry is stored as {@code q = min(15,
 * floor(x/d + 8.5))} and decodes to {@code fp16(d)·(q − 8)}. Rate 4.5. Immutable and thread-safe.
 */
public final class Q4ZeroQuantizer extends GroupQuantizer {
    private static final int GROUP = 32;

    /** Makes a quantiser. */
    public Q4ZeroQuantizer() {
        super("Q4_0", GROUP);
    }

    @Override
    public double bitsPerEntry(int columns) {
        return 4 + 16.0 / GROUP;
    }

    @Override
    boolean quantizeGroup(float[] row, int offset, int size, float[] decoded) {
        float extreme = 0;
        for (int i = offset; i < offset + size; i++) {
            extreme = Math.abs(row[i]) > Math.abs(extreme) ? row[i] : extreme;
        }
        float exact = extreme / -8;
        float scale = FloatFormat.FP16.storeScale(Math.abs(exact), offset) * Math.signum(exact);
        if (scale == 0) {
            Arrays.fill(decoded, offset, offset + size, 0);
            return false;
        }
        boolean clipped = false;
        for (int i = offset; i < offset + size; i++) {
            int integer = (int) Math.floor(row[i] / exact + 8.5f);
            clipped |= integer > 15;
            decoded[i] = scale * (Math.min(15, integer) - 8);
        }
        return clipped;
    }
}
