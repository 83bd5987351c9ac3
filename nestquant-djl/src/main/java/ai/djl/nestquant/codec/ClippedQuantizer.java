package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * Symmetric integers with one float scale per row, the scale found by search: the int4 of QuaRot
 * and SpinQuant when the rows are rotated.
 *
 * <p>{@code x̂ = scale · clamp(round(x / scale), −2^(bits−1), 2^(bits−1) − 1)}; the candidates are
 * {@code c · max|x| / (2^(bits−1) − 1)} for c from 1 down in hundredths, and the smallest squared
 * error wins. Rate {@code bits + 32/columns}. Immutable and thread-safe.
 */
public final class ClippedQuantizer extends GroupQuantizer {
    private static final int STEPS = 100;

    private final int bits;
    private final int largest;

    /**
     * Makes a quantiser of whole rows.
     *
     * @param bits 2 to 8
     * @throws IllegalArgumentException for other numbers
     */
    public ClippedQuantizer(int bits) {
        super("int" + bits + " clipped row", 0);
        if (bits < 2 || bits > 8) {
            throw new IllegalArgumentException(bits + " bits are not between 2 and 8");
        }
        this.bits = bits;
        this.largest = (1 << (bits - 1)) - 1;
    }

    @Override
    public double bitsPerEntry(int columns) {
        return bits + 32.0 / group(columns);
    }

    @Override
    public RowPieces pieces(float[] row, int offset, int columns, float factor) {
        return new FixedIntegers(factor * bestScale(row, offset, columns), -largest - 1, largest);
    }

    @Override
    boolean quantizeGroup(float[] row, int offset, int size, float[] decoded) {
        float best = bestScale(row, offset, size);
        if (best == 0) {
            Arrays.fill(decoded, offset, offset + size, 0);
            return false;
        }
        boolean clipped = false;
        float inverse = 1 / best;
        for (int i = offset; i < offset + size; i++) {
            float integer = (float) Math.rint(row[i] * inverse);
            clipped |= integer > largest || integer < -largest - 1;
            decoded[i] = best * clamp(integer);
        }
        return clipped;
    }

    /** Returns the scale with the least squared error, 0 for zeros. */
    private float bestScale(float[] row, int offset, int size) {
        float widest = absmax(row, offset, size) / largest;
        if (widest == 0) {
            return 0;
        }
        float best = widest;
        double bestError = Double.POSITIVE_INFINITY;
        // below a quarter of the largest entry nothing but outliers would be saved
        for (int step = STEPS; step > STEPS / 4; step--) {
            float scale = widest * step / STEPS;
            double error = squaredError(row, offset, size, scale);
            if (error < bestError) {
                bestError = error;
                best = scale;
            }
        }
        return best;
    }

    private double squaredError(float[] row, int offset, int size, float scale) {
        float inverse = 1 / scale;
        double sum = 0;
        for (int i = offset; i < offset + size; i++) {
            float error = row[i] - scale * clamp((float) Math.rint(row[i] * inverse));
            sum += error * error;
        }
        return sum;
    }

    private float clamp(float integer) {
        return Math.max(-largest - 1, Math.min(largest, integer));
    }
}
