package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * Symmetric integers with one fp16 scale per group: {@code scale = max|x| / (2^(bits−1) − 1)},
 * {@code x̂ = scale · round(x / scale)}; nothing is clipped beyond the scale's rounding.
 *
 * <p>Rate {@code bits + 16/group}. Immutable and thread-safe.
 */
public final class AbsmaxQuantizer extends GroupQuantizer {
    private final int bits;
    private final int largest;

    /**
     * Makes a quantiser.
     *
     * @param bits 2 to 8
     * @param group entries that share a scale; 0 for whole rows
     * @throws IllegalArgumentException for other numbers
     */
    public AbsmaxQuantizer(int bits, int group) {
        super("int" + bits + " absmax " + (group == 0 ? "row" : "g" + group), group);
        if (bits < 2 || bits > 8) {
            throw new IllegalArgumentException(bits + " bits are not between 2 and 8");
        }
        this.bits = bits;
        this.largest = (1 << (bits - 1)) - 1;
    }

    @Override
    public double bitsPerEntry(int columns) {
        return bits + 16.0 / group(columns);
    }

    @Override
    public RowPieces pieces(float[] row, int offset, int columns, float factor) {
        if (group(columns) != columns) {
            return super.pieces(row, offset, columns, factor);
        }
        float exact = factor * absmax(row, offset, columns) / largest;
        return new FixedIntegers(FloatFormat.FP16.storeScale(exact, offset), -largest, largest);
    }

    @Override
    boolean quantizeGroup(float[] row, int offset, int size, float[] decoded) {
        float exact = absmax(row, offset, size) / largest;
        float scale = FloatFormat.FP16.storeScale(exact, offset);
        if (scale == 0) {
            Arrays.fill(decoded, offset, offset + size, 0);
            return false;
        }
        for (int i = offset; i < offset + size; i++) {
            float integer = Math.round(row[i] / scale);
            decoded[i] = scale * Math.max(-largest, Math.min(largest, integer));
        }
        return false;
    }
}
