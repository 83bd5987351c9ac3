package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * One product {@code y = W·x}, divided into ranges of row tiles.
 *
 * <p>Belongs to the calling thread, which prepares and ends it; parts run on any thread.
 */
final class MultiplyJob implements WorkerPool.Job {
    private static final int ROWS = LeaderLanes.ROWS;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private int[] fixed = {};
    private PackedMatrix w;
    private IntBuffer words;
    private IntBuffer betas;
    private float[] y;
    private int parts;
    private double unit;

    /** Prepares a product: x to fixed point. */
    void begin(PackedMatrix matrix, float[] x, float[] result, int count) {
        int shift = FixedPoint.shift(x);
        if (fixed.length < x.length) {
            fixed = new int[x.length];
        }
        FixedPoint.round(x, shift, fixed);
        unit = FixedPoint.power(-shift);
        w = matrix;
        words = matrix.words();
        betas = matrix.betas();
        y = result;
        parts = count;
    }

    /** Lets go of matrix and result. */
    void end() {
        w = null;
        words = null;
        betas = null;
        y = null;
    }

    @Override
    public void run(int part) {
        int tiles = w.tiles();
        int from = (int) ((long) tiles * part / parts);
        int to = (int) ((long) tiles * (part + 1) / parts);
        Scratch scratch = SCRATCH.get();
        long[] sums = scratch.sums((to - from) * ROWS);
        int blocks = w.blocks();
        int chunks = (blocks + LeaderLanes.BLOCKS - 1) / LeaderLanes.BLOCKS;
        for (int chunk = 0; chunk < chunks; chunk++) {
            int first = (int) ((long) blocks * chunk / chunks);
            int count = (int) ((long) blocks * (chunk + 1) / chunks) - first;
            scratch.products.spread(fixed, first, count);
            for (int tile = from; tile < to; tile++) {
                int index = w.betaIndex(tile, first);
                scratch.lanes.decode(words, index * ROWS, count);
                betas.get(index, scratch.betas, 0, count);
                scratch.products.add(
                        scratch.lanes, count, scratch.betas, sums, (tile - from) * ROWS);
            }
        }
        int lastRow = Math.min(to * ROWS, w.rows());
        for (int row = from * ROWS; row < lastRow; row++) {
            y[row] = (float) (sums[row - from * ROWS] * (unit * w.rowScale(row)));
        }
    }

    private static final class Scratch {
        final LeaderLanes lanes = new LeaderLanes();
        final LaneProducts products = new LaneProducts();
        final int[] betas = new int[LeaderLanes.BLOCKS];
        private long[] sums = {};

        /** Returns at least that many zeros. */
        long[] sums(int rows) {
            if (sums.length < rows) {
                sums = new long[rows];
            }
            Arrays.fill(sums, 0, rows, 0);
            return sums;
        }
    }
}
