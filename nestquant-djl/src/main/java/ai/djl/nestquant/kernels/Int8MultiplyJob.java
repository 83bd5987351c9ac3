package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * One product {@code y = W·x} with an int8 matrix for each row x of some, divided into ranges of
 * row tiles.
 *
 * <p>Lane {@code 16·g + i} of a chunk of {@link #GROUPS} groups sums the products of row i with
 * four columns; all chunks of a tile add to the same lanes, whose rows are added up at the end: a
 * row's sum is below {@code 127·128·C}.
 *
 * <p>Belongs to the calling thread, which prepares and ends it; parts run on any thread.
 */
final class Int8MultiplyJob implements WorkerPool.Job {
    private static final int ROWS = Int8Matrix.TILE_ROWS;
    private static final int GROUP = Int8Matrix.GROUP;

    /** Groups of a chunk: the loops are long enough for vectors and all arrays stay in L1. */
    private static final int GROUPS = 32;

    private static final int LANES = GROUPS * ROWS;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    /** Columns 4g + k of x, once for each row of a tile: int [4][chunks][{@link #GROUPS}·16]. */
    private final int[][][] entries = new int[GROUP][0][];

    private Int8Matrix w;
    private IntBuffer words;
    private Int8Rows x;
    private int row;
    private int[] sums;
    private int parts;

    /** Multiplies by all rows. */
    void multiply(Int8Matrix matrix, Int8Rows vectors, float[] y, WorkerPool pool, int count) {
        w = matrix;
        words = matrix.words();
        x = vectors;
        parts = count;
        int rows = matrix.rows();
        int[] high = new int[rows];
        int[] rest = new int[rows];
        for (row = 0; row < vectors.rows(); row++) {
            share(vectors.high(), high, pool);
            if (vectors.low() != null) {
                share(vectors.low(), rest, pool);
            }
            float scale = vectors.scales()[row];
            for (int r = 0; r < rows; r++) {
                y[row * rows + r] =
                        Products.scaled(vectors, high[r], rest[r], matrix.rowScale(r), scale);
            }
        }
        w = null;
        words = null;
        x = null;
        sums = null;
    }

    private void share(byte[] plane, int[] result, WorkerPool pool) {
        for (int k = 0; k < entries.length; k++) {
            spread(plane, k, w.groups());
        }
        sums = result;
        pool.run(parts, this);
    }

    private void spread(byte[] plane, int k, int groups) {
        int chunks = (groups + GROUPS - 1) / GROUPS;
        int there = entries[k].length;
        if (there < chunks) {
            entries[k] = Arrays.copyOf(entries[k], chunks);
            for (int chunk = there; chunk < chunks; chunk++) {
                entries[k][chunk] = new int[LANES];
            }
        }
        int start = row * x.columns() + k;
        for (int g = 0; g < groups; g++) {
            Lanes.fill(entries[k][g / GROUPS], g % GROUPS * ROWS, plane[start + GROUP * g]);
        }
    }

    @Override
    public void run(int part) {
        int tiles = w.tiles();
        int from = (int) ((long) tiles * part / parts);
        int to = (int) ((long) tiles * (part + 1) / parts);
        Scratch scratch = SCRATCH.get();
        for (int tile = from; tile < to; tile++) {
            Arrays.fill(scratch.dots, 0);
            multiply(tile, scratch);
            int lastRow = Math.min((tile + 1) * ROWS, w.rows());
            for (int r = tile * ROWS; r < lastRow; r++) {
                int sum = 0;
                for (int l = r % ROWS; l < LANES; l += ROWS) {
                    sum += scratch.dots[l];
                }
                sums[r] = sum;
            }
        }
    }

    private void multiply(int tile, Scratch scratch) {
        int groups = w.groups();
        int chunk = 0;
        for (int first = 0; first < groups; first += GROUPS, chunk++) {
            int lanes = Math.min(GROUPS, groups - first) * ROWS;
            words.get(w.wordIndex(tile * ROWS, first), scratch.words, 0, lanes);
            lowPair(lanes, scratch.words, entries[0][chunk], entries[1][chunk], scratch.dots);
            highPair(lanes, scratch.words, entries[2][chunk], entries[3][chunk], scratch.dots);
        }
    }

    /** Adds the products with bytes 0 and 1; two per loop, as in {@link LaneProducts}. */
    private static void lowPair(int n, int[] q, int[] x0, int[] x1, int[] dots) {
        for (int l = 0; l < n; l++) {
            int v = q[l];
            dots[l] += (v << 24 >> 24) * x0[l] + (v << 16 >> 24) * x1[l];
        }
    }

    /** Adds the products with bytes 2 and 3. */
    private static void highPair(int n, int[] q, int[] x2, int[] x3, int[] dots) {
        for (int l = 0; l < n; l++) {
            int v = q[l];
            dots[l] += (v << 8 >> 24) * x2[l] + (v >> 24) * x3[l];
        }
    }

    private static final class Scratch {
        final int[] words = new int[LANES];
        final int[] dots = new int[LANES];
    }
}
