package ai.djl.nestquant.kernels;

/**
 * Exact dot products of decoded lanes with an int8 vector: a block sum {@code Σ_j y_j·x_j} is below
 * 2^16, and a row's sum of {@code m·y·x} below {@code 127²·C}.
 *
 * <p>Scratch of one thread.
 */
final class LaneProducts {
    private static final int ROWS = LeaderLanes.ROWS;
    private static final int LANES = ROWS * LeaderLanes.BLOCKS;

    /** Entry j of each lane's block of the vector, int [8][lanes]. */
    private final int[][] entries = new int[8][LANES];

    /** Makes up for the lanes' offset, −{@link LeaderLanes#OFFSET}·Σ_j x_j. */
    private final int[] start = new int[LANES];

    private final int[] dots = new int[LANES];

    /**
     * Spreads a piece of the vector over the lanes.
     *
     * @param x the vector, int8
     * @param offset its first entry
     * @param blocks number of blocks
     */
    void spread(byte[] x, int offset, int blocks) {
        for (int b = 0; b < blocks; b++) {
            int sum = 0;
            for (int j = 0; j < 8; j++) {
                int entry = x[offset + 8 * b + j];
                sum += entry;
                Lanes.fill(entries[j], ROWS * b, entry);
            }
            Lanes.fill(start, ROWS * b, -LeaderLanes.OFFSET * sum);
        }
    }

    /**
     * Adds the products of a tile's rows.
     *
     * @param lanes decoded blocks
     * @param blocks number of blocks, those of {@link #spread}
     * @param steps the ladder steps of the lanes, int [blocks][16]
     * @param sums int, [16] from an offset on: {@code Σ_b m·dot} is added
     * @param offset where the tile's first row is in sums
     */
    void add(LeaderLanes lanes, int blocks, int[] steps, int[] sums, int offset) {
        int n = ROWS * blocks;
        int[][] x = entries;
        lowPair(n, lanes.low, x[0], x[1], start, dots);
        highPair(n, lanes.low, x[2], x[3], dots);
        lowPair(n, lanes.high, x[4], x[5], dots, dots);
        highPair(n, lanes.high, x[6], x[7], dots);
        weigh(n, steps, dots);
        for (int i = 0; i < ROWS; i += 4) {
            addRows(n, i, dots, sums, offset + i);
        }
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

    private static void weigh(int n, int[] steps, int[] dots) {
        for (int l = 0; l < n; l++) {
            dots[l] *= steps[l];
        }
    }

    /** Adds lanes i to i + 3 of all blocks to four sums. */
    private static void addRows(int n, int i, int[] lanes, int[] sums, int to) {
        int a = 0;
        int b = 0;
        int c = 0;
        int d = 0;
        for (int l = i; l < n; l += ROWS) {
            a += lanes[l];
            b += lanes[l + 1];
            c += lanes[l + 2];
            d += lanes[l + 3];
        }
        sums[to] += a;
        sums[to + 1] += b;
        sums[to + 2] += c;
        sums[to + 3] += d;
    }
}
