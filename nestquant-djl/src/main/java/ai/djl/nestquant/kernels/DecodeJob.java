package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Decodes rows to a float panel, divided into ranges of row tiles.
 *
 * <p>Belongs to the calling thread, which prepares and ends it; parts run on any thread.
 */
final class DecodeJob implements WorkerPool.Job {
    private static final int ROWS = LeaderLanes.ROWS;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private PackedMatrix w;
    private IntBuffer words;
    private ByteBuffer betas;
    private FloatBuffer panel;
    private int from;
    private int to;
    private int parts;

    /** Prepares the decoding of rows. */
    void begin(PackedMatrix matrix, int fromRow, int toRow, FloatBuffer floats, int count) {
        w = matrix;
        words = matrix.words();
        betas = matrix.betas().order(ByteOrder.LITTLE_ENDIAN);
        panel = floats;
        from = fromRow;
        to = toRow;
        parts = count;
    }

    /** Lets go of matrix and panel. */
    void end() {
        w = null;
        words = null;
        betas = null;
        panel = null;
    }

    @Override
    public void run(int part) {
        int firstTile = from / ROWS;
        int tiles = (to - 1) / ROWS + 1 - firstTile;
        int begin = firstTile + (int) ((long) tiles * part / parts);
        int end = firstTile + (int) ((long) tiles * (part + 1) / parts);
        Scratch scratch = SCRATCH.get();
        // lanes of three-bit codes hold twice the coordinates
        float unit = w.code().width() == 3 ? 0.5f : 1;
        for (int tile = begin; tile < end; tile++) {
            for (int first = 0; first < w.blocks(); first += LeaderLanes.BLOCKS) {
                int count = Math.min(LeaderLanes.BLOCKS, w.blocks() - first);
                LadderSteps.read(betas, w.indexAt(tile, first), count, scratch.indices);
                LadderSteps.fill(w.code(), scratch.indices, count, scratch.steps);
                int start = tile * w.wordsPerTile();
                scratch.lanes.decode(w.code(), words, start, first, count, scratch.indices);
                int lastRow = Math.min(to, (tile + 1) * ROWS);
                for (int row = Math.max(from, tile * ROWS); row < lastRow; row++) {
                    scratch.row(row % ROWS, unit * w.rowScale(row), count);
                    int at = panel.position() + (row - from) * w.columns() + 8 * first;
                    panel.put(at, scratch.floats, 0, 8 * count);
                }
            }
        }
    }

    private static final class Scratch {
        final LeaderLanes lanes = new LeaderLanes();
        final int[] indices = new int[ROWS * LeaderLanes.BLOCKS];
        final int[] steps = new int[ROWS * LeaderLanes.BLOCKS];
        final float[] floats = new float[8 * LeaderLanes.BLOCKS];

        /** Writes a row's decoded blocks to {@link #floats}. */
        void row(int i, float scale, int count) {
            for (int b = 0; b < count; b++) {
                int step = steps[ROWS * b + i];
                write(lanes.low[ROWS * b + i], step, scale, 8 * b);
                write(lanes.high[ROWS * b + i], step, scale, 8 * b + 4);
            }
        }

        private void write(int bytes, int step, float scale, int at) {
            floats[at] = scale * (step * ((bytes & 63) - LeaderLanes.OFFSET));
            floats[at + 1] = scale * (step * ((bytes >>> 8 & 63) - LeaderLanes.OFFSET));
            floats[at + 2] = scale * (step * ((bytes >>> 16 & 63) - LeaderLanes.OFFSET));
            floats[at + 3] = scale * (step * ((bytes >>> 24 & 63) - LeaderLanes.OFFSET));
        }
    }
}
