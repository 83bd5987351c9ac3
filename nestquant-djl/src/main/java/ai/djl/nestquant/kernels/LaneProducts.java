package ai.djl.nestquant.kernels;

/**
 * Exact dot products of decoded lanes with a fixed-point vector: each lane's block sum {@code Σ_j
 * y_j·X_j} is below {@code 2^24·‖y‖₁ ≤ 2^24·32·√8 < 2^31}, since leaders of 16·E8 are no longer
 * than its covering radius, ‖y‖₂ ≤ 32.
 *
 * <p>Scratch of one thread.
 */
final class LaneProducts {
    private static final int ROWS = LeaderLanes.ROWS;
    private static final int LANES = ROWS * LeaderLanes.BLOCKS;

    /** Entry j of each lane's block of the vector, int [8][lanes]. */
    private final int[][] entries = new int[8][LANES];

    /** Makes up for the lanes' offset, −{@link LeaderLanes#OFFSET}·Σ_j X_j. */
    private final int[] start = new int[LANES];

    private final int[] dots = new int[LANES];
    private final RowSums rows = new RowSums();

    /**
     * Spreads a piece of the vector over the lanes.
     *
     * @param fixed the vector, fixed point [C]
     * @param block the first block
     * @param blocks number of blocks
     */
    void spread(int[] fixed, int block, int blocks) {
        for (int b = 0; b < blocks; b++) {
            int sum = 0;
            for (int j = 0; j < 8; j++) {
                sum += fixed[8 * (block + b) + j];
            }
            Lanes.fill(start, ROWS * b, -LeaderLanes.OFFSET * sum);
        }
        for (int j = 0; j < 8; j++) {
            spread(fixed, 8 * block + j, blocks, entries[j]);
        }
    }

    /**
     * Adds the products of a tile's rows.
     *
     * @param lanes decoded blocks
     * @param blocks number of blocks, those of {@link #spread}
     * @param betas ladder indices, int [blocks]
     * @param sums long, [16] from an offset on: {@code Σ_b m·dot} is added
     * @param offset where the tile's first row is in sums
     */
    void add(LeaderLanes lanes, int blocks, int[] betas, long[] sums, int offset) {
        int n = ROWS * blocks;
        int[][] x = entries;
        lowPair(n, lanes.low, x[0], x[1], start, dots);
        highPair(n, lanes.low, x[2], x[3], dots);
        lowPair(n, lanes.high, x[4], x[5], dots, dots);
        highPair(n, lanes.high, x[6], x[7], dots);
        rows.add(dots, blocks, betas, sums, offset);
    }

    /** Products with bytes 0 and 1; two per loop, because JDK 17 does not vectorise four. */
    private static void lowPair(int n, int[] y, int[] x0, int[] x1, int[] start, int[] dots) {
        for (int l = 0; l < n; l++) {
            int v = y[l];
            dots[l] = start[l] + (v & 63) * x0[l] + (v >>> 8 & 63) * x1[l];
        }
    }

    /** Products with bytes 2 and 3. */
    private static void highPair(int n, int[] y, int[] x2, int[] x3, int[] dots) {
        for (int l = 0; l < n; l++) {
            int v = y[l];
            dots[l] += (v >>> 16 & 63) * x2[l] + (v >>> 24) * x3[l];
        }
    }

    private static void spread(int[] fixed, int from, int blocks, int[] lanes) {
        for (int b = 0; b < blocks; b++) {
            Lanes.fill(lanes, ROWS * b, fixed[from + 8 * b]);
        }
    }
}
