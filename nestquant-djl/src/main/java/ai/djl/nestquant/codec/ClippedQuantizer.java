package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * Symmetric integers with one float scale per row, the scale found by search: the int4 of QuaRot
 * and SpinQuant when the rows are rotated.
 *
 * <p>{@code x̂ = scale · clamp(round(x / scale), −2^(bits−1), 2^(bits−1) − 1)}; the candidates are
 * {@code c · max|x| / (2^(bits−1) − 1)} for c from 1 down in hundredths, and the smallest squared
 * error wins. Rate {@code bits + 32/columns}. Immutable and thread-safe.
 *
 * <p>Errors of all candidates are first added up in float, in a loop that the compiler turns into
 * vector instructions; only the few that this leaves in question are added up in double.
 */
public final class ClippedQuantizer extends GroupQuantizer {
    private static final int STEPS = 100;

    /** Below a quarter of the largest entry nothing but outliers would be saved. */
    private static final int CANDIDATES = STEPS - STEPS / 4;

    /** Adding it to a float below 2^22 leaves no room for a fraction: rounds ties to even. */
    private static final float ROUNDING = 0x1.8p23f;

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
        float[] scales = new float[CANDIDATES];
        for (int i = 0; i < CANDIDATES; i++) {
            scales[i] = widest * (STEPS - i) / STEPS;
        }
        float[] estimates = estimates(row, offset, size, scales);
        float least = Float.POSITIVE_INFINITY;
        for (float estimate : estimates) {
            least = Math.min(least, estimate);
        }
        // sums of n floats are off by up to n·2^-24, so the best one's is within twice that
        float limit = least * (1 + size * 0x1p-22f);
        float best = widest;
        double bestError = Double.POSITIVE_INFINITY;
        for (int i = 0; i < CANDIDATES; i++) {
            double error =
                    estimates[i] <= limit
                            ? squaredError(row, offset, size, scales[i])
                            : Double.POSITIVE_INFINITY;
            if (error < bestError) {
                bestError = error;
                best = scales[i];
            }
        }
        return best;
    }

    /** Adds up squared errors in float, for all scales at once. */
    private float[] estimates(float[] row, int offset, int size, float[] scales) {
        float[] inverses = new float[scales.length];
        for (int i = 0; i < scales.length; i++) {
            inverses[i] = 1 / scales[i];
        }
        float[] sums = new float[scales.length];
        if (inverses[scales.length - 1] < Float.POSITIVE_INFINITY) { // else all are in question
            for (int i = offset; i < offset + size; i++) {
                addErrors(row[i], scales, inverses, -largest - 1, largest, sums);
            }
        }
        return sums;
    }

    /** Adds the squared errors of one entry, each exactly as {@link #squaredError} has it. */
    private static void addErrors(
            float x, float[] scales, float[] inverses, float low, float high, float[] sums) {
        for (int i = 0; i < sums.length; i++) {
            float integer = x * inverses[i] + ROUNDING - ROUNDING;
            float error = x - scales[i] * Math.max(low, Math.min(high, integer));
            sums[i] += error * error;
        }
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
