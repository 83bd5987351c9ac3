package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * Scales in integer ratios, {@code β_j = 2·u·m_j}: what a row decodes to is {@code u · (m_j·y)}, an
 * int8 vector with one float scale u, because codes with {@code |m_j·y|} > 127 are never emitted.
 *
 * <p>Immutable and thread-safe.
 */
public final class Ladder {
    /** The ladder of 16·E8 with four scales, the product's code; units are measured optima. */
    public static final Ladder E8_16 = new Ladder(0.0300, 3, 4, 5, 7);

    /** The ladder of 14·E8 with four scales. */
    public static final Ladder E8_14 = new Ladder(0.0342, 3, 4, 5, 7);

    /** The ladder of 8·E8 with four scales. */
    public static final Ladder E8_8 = new Ladder(0.0594, 3, 4, 5, 7);

    /** The ladder of 4·E8 with four scales. */
    public static final Ladder E8_4 = new Ladder(0.118, 3, 4, 5, 7);

    /** The ladder of 16·D8* with eight scales. */
    public static final Ladder D8_16 = new Ladder(0.0294, 3, 4, 5, 6, 7, 8, 10, 12);

    /** The ladder of 8·D8* with eight scales. */
    public static final Ladder D8_8 = new Ladder(0.0588, 3, 4, 5, 6, 7, 8, 10, 12);

    /** The ladder of 64·E8 with four scales, near lossless; its rows are int16 vectors. */
    public static final Ladder E8_64 = withLimit(Short.MAX_VALUE, 0.0078, 3, 4, 5, 7);

    private final double unit;
    private final int limit;
    private final int[] steps;
    private final BetaSet betas;

    /**
     * Makes a ladder.
     *
     * @param unit u for entries of standard deviation 1
     * @param steps m_0 < m_1 < …, positive
     * @throws IllegalArgumentException if the steps are not positive and ascending
     */
    public Ladder(double unit, int... steps) {
        this(Byte.MAX_VALUE, unit, steps.clone());
    }

    private Ladder(int limit, double unit, int[] steps) {
        this.limit = limit;
        this.unit = unit;
        this.steps = steps;
        this.betas = BetaSet.of(this);
    }

    /**
     * Makes a ladder whose decoded entries are wider than int8.
     *
     * @param limit the largest {@code |m_j·y|}
     * @param unit u for entries of standard deviation 1
     * @param steps m_0 < m_1 < …, positive
     * @return the ladder
     */
    public static Ladder withLimit(int limit, double unit, int... steps) {
        return new Ladder(limit, unit, steps.clone());
    }

    /** Returns the largest {@code |m_j·y|} of a code, 127 unless said otherwise. */
    public int limit() {
        return limit;
    }

    /** Returns k, the number of steps. */
    public int size() {
        return steps.length;
    }

    /**
     * Returns one step.
     *
     * @param index 0 to k − 1
     * @return the integer m_index
     */
    public int step(int index) {
        return steps[index];
    }

    /** Returns the unit u that suits Gaussian entries of standard deviation 1. */
    public double unit() {
        return unit;
    }

    /** Returns the scales {@code β_j = 2·m_j}, in units of u: the row scale is u itself. */
    public BetaSet betas() {
        return betas;
    }

    @Override
    public String toString() {
        return Arrays.toString(steps) + "·" + unit;
    }
}
