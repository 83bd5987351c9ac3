package ai.djl.nestquant.model;

/**
 * Balancing factors of the channels of an input and of the weights that read it.
 *
 * <p>{@code Wx = (W·diag(s))·(diag(1/s)·x)} for any s. Once both factors are rotated and coded, the
 * error of their product grows with {@code Σ_j s_j²‖W_:,j‖² · Σ_j E[x_j²]/s_j²}, which by
 * Cauchy–Schwarz is smallest at
 *
 * <pre>{@code s_j² ∝ sqrt(E[x_j²]) / ‖W_:,j‖}</pre>
 *
 * <p>Only ratios matter, so the geometric mean is made 1. Stateless and safe for concurrent use.
 */
final class BalancingFactors {

    /**
     * Factors stay within [1/LARGEST, LARGEST]: a channel that was silent in the calibration text
     * must not become a giant when another text wakes it. Those of SmolLM2-135M lie between 0.07
     * and 24, far inside.
     */
    static final double LARGEST = 256;

    private BalancingFactors() {}

    /**
     * Computes the factors.
     *
     * @param meanSquares {@code E[x_j²]} of each channel
     * @param squaredNorms {@code ‖W_:,j‖²} of each column, over all weights that read the input
     * @return s; 1 where a channel or its column is zero
     */
    static double[] of(double[] meanSquares, double[] squaredNorms) {
        double[] factors = new double[meanSquares.length];
        double logSum = 0;
        int active = 0;
        for (int j = 0; j < factors.length; j++) {
            if (meanSquares[j] > 0 && squaredNorms[j] > 0) {
                factors[j] = (Math.log(meanSquares[j]) - Math.log(squaredNorms[j])) / 4;
                logSum += factors[j];
                active++;
            }
        }
        double center = active == 0 ? 0 : logSum / active;
        for (int j = 0; j < factors.length; j++) {
            boolean zero = !(meanSquares[j] > 0 && squaredNorms[j] > 0);
            double factor = zero ? 1 : Math.exp(factors[j] - center);
            factors[j] = Math.max(1 / LARGEST, Math.min(LARGEST, factor));
        }
        return factors;
    }

    /**
     * Sums what the query heads of a group see of their common key-value head.
     *
     * @param perHead one number for each channel, {@code [kvHeads][group][headSize]}
     * @param kvHeads the number of key-value heads
     * @param headSize the number of channels of a head
     * @return the sums {@code [kvHeads][headSize]}
     */
    static double[] sumOverGroups(double[] perHead, int kvHeads, int headSize) {
        double[] sums = new double[kvHeads * headSize];
        for (int j = 0; j < perHead.length; j++) {
            sums[shared(j, perHead.length, kvHeads, headSize)] += perHead[j];
        }
        return sums;
    }

    /**
     * Gives every query head of a group the factors of its key-value head.
     *
     * @param perKvHead factors {@code [kvHeads][headSize]}
     * @param length the number of channels, {@code kvHeads · group · headSize}
     * @param kvHeads the number of key-value heads
     * @param headSize the number of channels of a head
     * @return factors {@code [kvHeads][group][headSize]}
     */
    static double[] repeatInGroups(double[] perKvHead, int length, int kvHeads, int headSize) {
        double[] repeated = new double[length];
        for (int j = 0; j < length; j++) {
            repeated[j] = perKvHead[shared(j, length, kvHeads, headSize)];
        }
        return repeated;
    }

    private static int shared(int channel, int channels, int kvHeads, int headSize) {
        int perKvHead = channels / kvHeads;
        return channel / perKvHead * headSize + channel % headSize;
    }
}
