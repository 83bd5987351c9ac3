package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * Scales in integer ratios, {@code β_j = 2·u·m_j}: what a row decodes to is {@code u · (m_j·y)}, an
 * int8 vector with one float scale u, because codes with {@code |m_j·y|} > 127 are never emitted.
 *
 * <p>Immutable and thread-safe.
 */
public final class Ladder {
    /** The ladder of 16·E8 with four scales, the product's code. */
    public static final Ladder E8_16 = new Ladder(0.0321, 3, 4, 5, 7);

    private final double unit;
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
        this.unit = unit;
        this.steps = steps.clone();
        this.betas = BetaSet.of(this);
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
