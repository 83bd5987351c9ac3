package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Arrays;

/**
 * Picks the k scales that serve a sample of blocks best, by dynamic programming over a grid of
 * candidates (NestQuant paper, section 4).
 *
 * <p>Under first-fit the blocks served by a chosen β are those whose smallest fitting β lies
 * between the chosen one below and it, so the least total error over ordered choices follows from
 * that of fewer choices. Best-fit starts from there and exchanges one β at a time while that helps.
 * Errors are measured with the real encoder, overload included; the largest β holds the largest
 * block.
 *
 * <p>Immutable and thread-safe after construction, which measures every block with every candidate.
 */
public final class BetaSearch {
    private final double[] grid;
    private final float[][] errors; // [candidate][block]; infinite where it overloads
    private final int[] fits; // [block]: smallest candidate from which on the block fits
    private final int covering; // smallest candidate that holds every block

    /**
     * Measures a sample.
     *
     * @param code the cosets of E8 that can be stored
     * @param blocks entries in units of the row scale, [blocks][8], finite
     * @param finest the smallest candidate β
     * @param ratio of neighbouring candidates, such as 1.03
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position, or the
     *     sample is empty or all zero, or finest or ratio make no ascending grid
     */
    public BetaSearch(VoronoiCode code, float[] blocks, double finest, double ratio) {
        RowChecks.wholeBlocks(blocks.length);
        if (RowChecks.squaredNorm(blocks, 0, blocks.length) == 0) {
            throw new IllegalArgumentException("a sample of zeros says nothing about betas");
        }
        if (!(finest > 0) || !(ratio > 1)) {
            throw new IllegalArgumentException(
                    "no ascending grid: finest " + finest + ", ratio " + ratio);
        }
        this.fits = new int[blocks.length / PackedMatrix.BLOCK];
        double[] candidates = new double[16];
        float[][] measured = new float[16][];
        int count = 0;
        int overloading;
        do {
            if (count == candidates.length) {
                candidates = Arrays.copyOf(candidates, 2 * count);
                measured = Arrays.copyOf(measured, 2 * count);
            }
            candidates[count] = finest * Math.pow(ratio, count);
            measured[count] = new float[fits.length];
            overloading = measure(code, candidates[count], blocks, measured[count], ++count);
        } while (overloading > 0);
        this.grid = Arrays.copyOf(candidates, count);
        this.errors = Arrays.copyOf(measured, count);
        this.covering = count - 1;
    }

    /**
     * Picks k scales.
     *
     * @param k number of scales, at most the number of candidates
     * @param policy how blocks will pick among them
     * @return the set with the least error on the sample
     */
    public BetaSet search(int k, BetaPolicy policy) {
        if (k < 1 || k > grid.length) {
            throw new IllegalArgumentException(
                    "cannot pick " + k + " of " + grid.length + " candidate betas");
        }
        int[] chosen = firstFit(k);
        if (policy != BetaPolicy.FIRST_FIT) {
            exchange(chosen);
        }
        return BetaSet.of(Arrays.stream(chosen).mapToDouble(g -> grid[g]).toArray());
    }

    /** Fills the errors of one β and moves the fits of blocks that overload it behind it. */
    private int measure(VoronoiCode code, double beta, float[] blocks, float[] out, int next) {
        BlockEncoder encoder = new BlockEncoder(code, BetaSet.of(beta), BetaPolicy.FIRST_FIT);
        encoder.setRowScale(1);
        int overloading = 0;
        for (int block = 0; block < out.length; block++) {
            out[block] = encoder.encode(blocks, block * PackedMatrix.BLOCK);
            if (encoder.overloaded()) {
                out[block] = Float.POSITIVE_INFINITY;
                fits[block] = next;
                overloading++;
            }
        }
        return overloading;
    }

    /**
     * The dynamic programme: {@code least[n][g]} serves all blocks that fit g with n scales up to
     * g.
     */
    private int[] firstFit(int k) {
        double[][] upTo = errorsOfBlocksUpTo();
        int count = grid.length;
        double[][] least = new double[k][count];
        int[][] below = new int[k][count];
        for (int g = 0; g < count; g++) {
            least[0][g] = upTo[g][g];
        }
        for (int n = 1; n < k; n++) {
            for (int g = 0; g < count; g++) {
                least[n][g] = Double.POSITIVE_INFINITY;
                for (int h = n - 1; h < g; h++) {
                    double cost = least[n - 1][h] + upTo[g][g] - upTo[g][h];
                    if (cost < least[n][g]) {
                        least[n][g] = cost;
                        below[n][g] = h;
                    }
                }
            }
        }
        int[] chosen = new int[k];
        chosen[k - 1] = covering;
        for (int n = k - 1; n > 0; n--) {
            chosen[n - 1] = below[n][chosen[n]];
        }
        return chosen;
    }

    /** Returns [candidate g][h]: error with β_g of the blocks that fit from a candidate ≤ h on. */
    private double[][] errorsOfBlocksUpTo() {
        double[][] sums = new double[grid.length][grid.length];
        for (int g = 0; g < grid.length; g++) {
            for (int block = 0; block < fits.length; block++) {
                sums[g][fits[block]] += errors[g][block];
            }
            for (int h = 1; h < grid.length; h++) {
                sums[g][h] += sums[g][h - 1];
            }
        }
        return sums;
    }

    /** Exchanges single choices, the covering one excepted, while best-fit's error falls. */
    private void exchange(int[] chosen) {
        double least = Double.POSITIVE_INFINITY;
        boolean improved = true;
        while (improved) {
            improved = false;
            for (int n = 0; n < chosen.length - 1; n++) {
                float[] others = leastOfOthers(chosen, n);
                int best = chosen[n];
                for (int g = 0; g < grid.length; g++) {
                    double error = sumOfLeast(others, errors[g]);
                    if (error < least * (1 - 1e-9)) {
                        least = error;
                        best = g;
                        improved = true;
                    }
                }
                chosen[n] = best;
            }
        }
        Arrays.sort(chosen);
    }

    private float[] leastOfOthers(int[] chosen, int excepted) {
        float[] least = new float[fits.length];
        Arrays.fill(least, Float.POSITIVE_INFINITY);
        for (int n = 0; n < chosen.length; n++) {
            for (int block = 0; n != excepted && block < least.length; block++) {
                least[block] = Math.min(least[block], errors[chosen[n]][block]);
            }
        }
        return least;
    }

    private static double sumOfLeast(float[] others, float[] errors) {
        double sum = 0;
        for (int block = 0; block < others.length; block++) {
            sum += Math.min(others[block], errors[block]);
        }
        return sum;
    }
}
