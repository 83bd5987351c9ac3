package ai.djl.nestquant.kernels;

import java.util.Arrays;

/**
 * Adds the block products of a tile row by row, each times its ladder step m: {@code Σ_b m_b·d_b}.
 *
 * <p>A product needs 34 bits, a lane has 32: products are split into 16 low and 16 high bits, whose
 * sums over {@link LeaderLanes#BLOCKS} blocks stay below 2^25. Blocks are added in halves and
 * quarters, copied to arrays of their own: JDK 17 vectorises no loop that reads one array at two
 * places. This takes 0.5 ns per lane, scalar long arithmetic 0.7 ns at best.
 *
 * <p>Scratch of one thread.
 */
final class RowSums {
    private static final int ROWS = LeaderLanes.ROWS;
    private static final int LANES = ROWS * LeaderLanes.BLOCKS;
    private static final int HALF = LANES / 2;
    private static final int QUARTER = LANES / 4;

    /** Moves row i's ladder index to the top two bits. */
    private static final int[] TO_TOP = new int[HALF];

    static {
        for (int l = 0; l < HALF; l++) {
            TO_TOP[l] = 1 << 30 - 2 * (l % ROWS);
        }
    }

    private final int[] upperDots = new int[HALF];
    private final int[] betas = new int[HALF];
    private final int[] upperBetas = new int[HALF];
    private final int[] low = new int[HALF];
    private final int[] high = new int[HALF];
    private final int[] upperLow = new int[QUARTER];
    private final int[] upperHigh = new int[QUARTER];

    /**
     * Adds to the sums of 16 rows.
     *
     * @param dots products of the blocks, int [blocks][16]; what follows up to a multiple of four
     *     blocks is set to 0
     * @param blocks number of blocks
     * @param indices ladder indices, int [blocks]
     * @param sums long, [16] from offset on
     * @param offset where the tile's first row is in sums
     */
    void add(int[] dots, int blocks, int[] indices, long[] sums, int offset) {
        int quarter = (blocks + 3) / 4 * ROWS;
        int half = 2 * quarter;
        Arrays.fill(dots, ROWS * blocks, 2 * half, 0);
        System.arraycopy(dots, half, upperDots, 0, half);
        int middle = Math.min(half / ROWS, blocks);
        spread(indices, 0, middle, betas);
        spread(indices, middle, blocks, upperBetas);
        steps(half, betas, upperBetas, TO_TOP);
        weighLow(half, dots, upperDots, betas, upperBetas, low);
        weighHigh(half, dots, upperDots, betas, upperBetas, high);
        System.arraycopy(low, quarter, upperLow, 0, quarter);
        System.arraycopy(high, quarter, upperHigh, 0, quarter);
        addTo(quarter, low, upperLow);
        addTo(quarter, high, upperHigh);
        for (int i = 0; i < ROWS; i += 4) {
            addRows(quarter, i, low, sums, offset + i, 0);
            addRows(quarter, i, high, sums, offset + i, 16);
        }
    }

    private static void spread(int[] indices, int from, int to, int[] lanes) {
        for (int b = from; b < to; b++) {
            Lanes.fill(lanes, (b - from) * ROWS, indices[b]);
        }
    }

    /** From ladder indices j to steps {@code m = 3 + j + (j = 3)}. */
    private static void steps(int n, int[] betas, int[] upperBetas, int[] toTop) {
        for (int l = 0; l < n; l++) {
            int shift = toTop[l];
            int j = betas[l] * shift >>> 30;
            int k = upperBetas[l] * shift >>> 30;
            betas[l] = 3 + j + (j & j >>> 1);
            upperBetas[l] = 3 + k + (k & k >>> 1);
        }
    }

    private static void weighLow(int n, int[] d, int[] e, int[] steps, int[] upper, int[] low) {
        for (int l = 0; l < n; l++) {
            low[l] = (d[l] & 0xFFFF) * steps[l] + (e[l] & 0xFFFF) * upper[l];
        }
    }

    private static void weighHigh(int n, int[] d, int[] e, int[] steps, int[] upper, int[] high) {
        for (int l = 0; l < n; l++) {
            high[l] = (d[l] >> 16) * steps[l] + (e[l] >> 16) * upper[l];
        }
    }

    private static void addTo(int n, int[] a, int[] b) {
        for (int l = 0; l < n; l++) {
            a[l] += b[l];
        }
    }

    /** Adds lanes i to i + 3 of all blocks, shifted, to four sums. */
    private static void addRows(int n, int i, int[] lanes, long[] sums, int to, int shift) {
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
        sums[to] += (long) a << shift;
        sums[to + 1] += (long) b << shift;
        sums[to + 2] += (long) c << shift;
        sums[to + 3] += (long) d << shift;
    }
}
