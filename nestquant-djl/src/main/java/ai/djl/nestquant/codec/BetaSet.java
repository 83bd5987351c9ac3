package ai.djl.nestquant.codec;

import java.util.Arrays;

/**
 * The k scales β of a union of Voronoi codes, ascending, in units of the row scale.
 *
 * <p>A block decodes to {@code rowScale · β_j / 2 · y} with y the leader in doubled integers. These
 * are true β, never β·q. Immutable and thread-safe.
 */
public final class BetaSet {
    private final double[] betas;
    private final int[] largestCoordinates;
    private final double unit;

    private BetaSet(double[] betas, int[] largestCoordinates, double unit) {
        if (betas.length == 0) {
            throw new IllegalArgumentException("a beta set needs at least one beta");
        }
        double last = 0;
        for (double beta : betas) {
            if (!(beta > last) || beta == Double.POSITIVE_INFINITY) {
                throw new IllegalArgumentException(
                        "betas must be positive, finite and ascending: " + Arrays.toString(betas));
            }
            last = beta;
        }
        this.betas = betas;
        this.largestCoordinates = largestCoordinates;
        this.unit = unit;
    }

    /**
     * Makes a set of real scales, with leaders of any size.
     *
     * @param betas β_0 < β_1 < …, in units of the row scale
     * @return the set
     * @throws IllegalArgumentException if they are not positive, finite and ascending
     */
    public static BetaSet of(double... betas) {
        int[] unlimited = new int[betas.length];
        Arrays.fill(unlimited, Integer.MAX_VALUE);
        return new BetaSet(betas.clone(), unlimited, 1);
    }

    /**
     * Makes the set {@code β_j = 2·m_j} of a ladder, whose row scale is the ladder's unit u and
     * whose codes keep {@code |m_j·y|} within its limit.
     */
    static BetaSet of(Ladder ladder) {
        double[] betas = new double[ladder.size()];
        int[] largest = new int[ladder.size()];
        for (int j = 0; j < betas.length; j++) {
            betas[j] = 2.0 * ladder.step(j);
            largest[j] = ladder.limit() / ladder.step(j);
        }
        return new BetaSet(betas, largest, ladder.unit());
    }

    /** Returns k, the number of scales. */
    public int size() {
        return betas.length;
    }

    /**
     * Returns one scale.
     *
     * @param index 0 to k − 1
     * @return β_index in units of the row scale
     */
    public double beta(int index) {
        return betas[index];
    }

    /** Returns the largest scale, which has to cover the largest block. */
    public double largest() {
        return betas[betas.length - 1];
    }

    /** Returns the row scale that suits a row of standard deviation 1. */
    public double unit() {
        return unit;
    }

    /** Returns the largest |y| that may be stored with scale {@code index}. */
    int largestCoordinate(int index) {
        return largestCoordinates[index];
    }

    /** Returns log2(k)/8, what a plainly stored index costs. */
    public double indexBitsPerEntry() {
        return Math.log(betas.length) / Math.log(2) / 8;
    }

    @Override
    public String toString() {
        return Arrays.toString(betas);
    }
}
