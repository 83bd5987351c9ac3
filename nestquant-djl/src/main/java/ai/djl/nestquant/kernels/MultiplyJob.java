package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * One product {@code y = W·x} for each row x of some, divided into ranges of row tiles.
 *
 * <p>Belongs to the calling thread, which prepares and ends it; parts run on any thread.
 */
final class MultiplyJob implements WorkerPool.Job {
    private static final int ROWS = LeaderLanes.ROWS;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private PackedMatrix w;
    private IntBuffer words;
    private ByteBuffer betas;
    private Int8Rows x;
    private float[] y;
    private int parts;

    /** Prepares a product. */
    void begin(PackedMatrix matrix, Int8Rows vectors, float[] result, int count) {
        w = matrix;
        words = matrix.words();
        betas = matrix.betas().order(ByteOrder.LITTLE_ENDIAN);
        x = vectors;
        y = result;
        parts = count;
    }

    /** Lets go of matrix and vectors. */
    void end() {
        w = null;
        words = null;
        betas = null;
        x = null;
        y = null;
    }

    @Override
    public void run(int part) {
        int tiles = w.tiles();
        int from = (int) ((long) tiles * part / parts);
        int to = (int) ((long) tiles * (part + 1) / parts);
        Scratch scratch = SCRATCH.get();
        for (int row = 0; row < x.rows(); row++) {
            int[] high = scratch.sums(0, (to - from) * ROWS);
            int[] low = scratch.sums(1, (to - from) * ROWS);
            add(row, from, to, scratch, high, low);
            float scale = x.scales()[row];
            int end = Math.min(to * ROWS, w.rows());
            for (int r = from * ROWS; r < end; r++) {
                int at = r - from * ROWS;
                y[row * w.rows() + r] = Products.scaled(x, high[at], low[at], w.rowScale(r), scale);
            }
        }
    }

    private void add(int row, int from, int to, Scratch scratch, int[] high, int[] low) {
        PackedCode code = w.code();
        int offset = row * w.columns();
        for (int first = 0; first < w.blocks(); first += LeaderLanes.BLOCKS) {
            int count = Math.min(LeaderLanes.BLOCKS, w.blocks() - first);
            scratch.high.spread(x.high(), offset + 8 * first, count);
            if (x.low() != null) {
                scratch.low.spread(x.low(), offset + 8 * first, count);
            }
            for (int tile = from; tile < to; tile++) {
                LadderSteps.read(betas, w.indexAt(tile, first), count, scratch.indices);
                LadderSteps.fill(code, scratch.indices, count, scratch.steps);
                int start = tile * w.wordsPerTile();
                scratch.lanes.decode(code, words, start, first, count, scratch.indices);
                int at = (tile - from) * ROWS;
                scratch.high.add(scratch.lanes, count, scratch.steps, high, at);
                if (x.low() != null) {
                    scratch.low.add(scratch.lanes, count, scratch.steps, low, at);
                }
            }
        }
        if (code.width() == 3) {
            // lanes of three-bit codes hold twice the coordinates
            halve(high);
            halve(low);
        }
    }

    private static void halve(int[] sums) {
        for (int i = 0; i < sums.length; i++) {
            sums[i] /= 2;
        }
    }

    private static final class Scratch {
        final LeaderLanes lanes = new LeaderLanes();
        final LaneProducts high = new LaneProducts();
        final LaneProducts low = new LaneProducts();
        final int[] indices = new int[ROWS * LeaderLanes.BLOCKS];
        final int[] steps = new int[ROWS * LeaderLanes.BLOCKS];
        private final int[][] sums = new int[2][0];

        /** Returns at least that many zeros. */
        int[] sums(int plane, int rows) {
            if (sums[plane].length < rows) {
                sums[plane] = new int[rows];
            }
            Arrays.fill(sums[plane], 0);
            return sums[plane];
        }
    }
}
