package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Decodes rows of an int8 matrix to a float panel, divided into ranges of row tiles.
 *
 * <p>Belongs to the calling thread, which prepares and ends it; parts run on any thread.
 */
final class Int8DecodeJob implements WorkerPool.Job {
    private static final int ROWS = Int8Matrix.TILE_ROWS;
    private static final int GROUP = Int8Matrix.GROUP;

    /** Groups that are decoded at once: words and floats of a row stay in L1. */
    private static final int GROUPS = 32;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private Int8Matrix w;
    private IntBuffer words;
    private FloatBuffer panel;
    private int from;
    private int to;
    private int parts;

    /** Prepares the decoding of rows. */
    void begin(Int8Matrix matrix, int fromRow, int toRow, FloatBuffer floats, int count) {
        w = matrix;
        words = matrix.words();
        panel = floats;
        from = fromRow;
        to = toRow;
        parts = count;
    }

    /** Lets go of matrix and panel. */
    void end() {
        w = null;
        words = null;
        panel = null;
    }

    @Override
    public void run(int part) {
        int firstTile = from / ROWS;
        int tiles = (to - 1) / ROWS + 1 - firstTile;
        int begin = firstTile + (int) ((long) tiles * part / parts);
        int end = firstTile + (int) ((long) tiles * (part + 1) / parts);
        Scratch scratch = SCRATCH.get();
        for (int tile = begin; tile < end; tile++) {
            for (int first = 0; first < w.groups(); first += GROUPS) {
                decode(tile, first, Math.min(GROUPS, w.groups() - first), scratch);
            }
        }
    }

    private void decode(int tile, int first, int count, Scratch scratch) {
        words.get(w.wordIndex(tile * ROWS, first), scratch.words, 0, count * ROWS);
        int lastRow = Math.min(to, (tile + 1) * ROWS);
        for (int row = Math.max(from, tile * ROWS); row < lastRow; row++) {
            scratch.row(row % ROWS, w.rowScale(row), count);
            int at = panel.position() + (row - from) * w.columns() + GROUP * first;
            panel.put(at, scratch.floats, 0, GROUP * count);
        }
    }

    private static final class Scratch {
        final int[] words = new int[GROUPS * ROWS];
        final float[] floats = new float[GROUPS * GROUP];

        /** Writes a row's decoded groups to {@link #floats}. */
        void row(int i, float scale, int count) {
            for (int g = 0; g < count; g++) {
                int v = words[ROWS * g + i];
                floats[GROUP * g] = scale * (v << 24 >> 24);
                floats[GROUP * g + 1] = scale * (v << 16 >> 24);
                floats[GROUP * g + 2] = scale * (v << 8 >> 24);
                floats[GROUP * g + 3] = scale * (v >> 24);
            }
        }
    }
}
