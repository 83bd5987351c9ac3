package ai.djl.nestquant.pipeline;

/**
 * The mean of a sequence of dependent values, such as the losses of a text's tokens, with a
 * confidence interval by batch means.
 *
 * <p>Neighbouring tokens depend on each other, so values are summed over batches of {@value #BATCH}
 * neighbours, a window's last batch being shorter, and the batches are taken as independent. With
 * batch sums S_b of n_b values, {@code N = Σ n_b} and mean {@code m = Σ S_b / N}, the squared
 * standard error is {@code B/(B − 1) · Σ (S_b − m·n_b)² / N²} over the B batches, and the interval
 * is {@code m ± t·se} with Student's t of B − 1 degrees of freedom. Not safe for concurrent use.
 */
final class BatchMeans {

    /** Long enough for the dependence of losses to have faded, 8 batches a window of 1024. */
    static final int BATCH = 128;

    /** The two-sided level of {@link #halfWidth}. */
    static final double LEVEL = 0.95;

    /** The normal quantile of that level. */
    private static final double NORMAL = 1.959963984540054;

    /** With fewer an interval would be wider than it is useful. */
    private static final int LEAST_BATCHES = 4;

    private double sum;
    private double squares;
    private double products;
    private double squaredSizes;
    private long values;
    private long batches;

    private double batchSum;
    private int batchSize;

    /** Adds the next value. */
    void add(double value) {
        batchSum += value;
        if (++batchSize == BATCH) {
            endBatch();
        }
    }

    /** Ends a window: what follows does not continue it. */
    void endWindow() {
        if (batchSize > 0) {
            endBatch();
        }
    }

    private void endBatch() {
        sum += batchSum;
        squares += batchSum * batchSum;
        products += batchSum * batchSize;
        squaredSizes += (double) batchSize * batchSize;
        values += batchSize;
        batches++;
        batchSum = 0;
        batchSize = 0;
    }

    /** Returns the number of batches. */
    long batches() {
        return batches;
    }

    /** Returns the mean of all values of ended windows. */
    double mean() {
        return sum / values;
    }

    /** Returns half the width of the interval, or NaN where there are too few batches. */
    double halfWidth() {
        if (batches < LEAST_BATCHES) {
            return Double.NaN;
        }
        double mean = mean();
        double variance = squares - 2 * mean * products + mean * mean * squaredSizes;
        double error = Math.sqrt(Math.max(0, variance) * batches / (batches - 1)) / values;
        return student(batches - 1) * error;
    }

    /**
     * The two-sided quantile of Student's distribution by its expansion around the normal one
     * (Abramowitz and Stegun 26.7.5), within 0.2% from 3 degrees of freedom on.
     */
    static double student(long freedom) {
        double z = NORMAL;
        double z2 = z * z;
        double g1 = z * (z2 + 1) / 4;
        double g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
        double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
        double g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
        return z + (g1 + (g2 + (g3 + g4 / freedom) / freedom) / freedom) / freedom;
    }
}
