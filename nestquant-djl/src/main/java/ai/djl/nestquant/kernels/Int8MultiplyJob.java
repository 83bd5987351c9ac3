package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * One product {@code y = W·x} with an int8 matrix, divided into ranges of row tiles.
 *
 * <p>Lane {@code 16·g + i} of a chunk of {@link #GROUPS} groups sums the products of row i with
 * four columns; all chunks of a tile add to the same lanes, whose rows are added up at the end. A
 * chunk adds at most {@code 4·127·2^19 < 2^28} to a lane, so an int takes {@link #CHUNKS} of them.
 *
 * <p>Belongs to the calling thread, which prepares and ends it; parts run on any thread.
 */
final class Int8MultiplyJob implements WorkerPool.Job {
    private static final int ROWS = Int8Matrix.TILE_ROWS;

    /** Bits of x, see {@link FixedPoint#shift(float[], int)}: |fixed| ≤ 2^19. */
    private static final int BITS = 18;

    /** Groups of a chunk: the loops are long enough for vectors and all arrays stay in L1. */
    private static final int GROUPS = 32;

    /** Chunks that are added up in int before their sums move to long. */
    private static final int CHUNKS = 8;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private int[] fixed = {};

    /** Columns 4g + k of x, once for each row of a tile: int [4][chunks][{@link #GROUPS}·16]. */
    private final int[][][] entries = new int[Int8Matrix.GROUP][0][];

    private Int8Matrix w;
    private IntBuffer words;
    private float[] y;
    private int parts;
    private double unit;

    /** Prepares a product: x to fixed point, spread over the lanes. */
    void begin(Int8Matrix matrix, float[] x, float[] result, int count) {
        int shift = FixedPoint.shift(x, BITS);
        if (fixed.length < x.length) {
            fixed = new int[x.length];
        }
        FixedPoint.round(x, shift, fixed);
        unit = FixedPoint.power(-shift);
        for (int k = 0; k < entries.length; k++) {
            spread(k, matrix.groups());
        }
        w = matrix;
        words = matrix.words();
        y = result;
        parts = count;
    }

    private void spread(int k, int groups) {
        int chunks = (groups + GROUPS - 1) / GROUPS;
        int there = entries[k].length;
        if (there < chunks) {
            entries[k] = Arrays.copyOf(entries[k], chunks);
            for (int chunk = there; chunk < chunks; chunk++) {
                entries[k][chunk] = new int[GROUPS * ROWS];
            }
        }
        for (int g = 0; g < groups; g++) {
            int[] lanes = entries[k][g / GROUPS];
            Lanes.fill(lanes, g % GROUPS * ROWS, fixed[Int8Matrix.GROUP * g + k]);
        }
    }

    /** Lets go of matrix and result. */
    void end() {
        w = null;
        words = null;
        y = null;
    }

    @Override
    public void run(int part) {
        int tiles = w.tiles();
        int from = (int) ((long) tiles * part / parts);
        int to = (int) ((long) tiles * (part + 1) / parts);
        Scratch scratch = SCRATCH.get();
        for (int tile = from; tile < to; tile++) {
            Arrays.fill(scratch.sums, 0);
            multiply(tile, scratch);
            int lastRow = Math.min((tile + 1) * ROWS, w.rows());
            for (int row = tile * ROWS; row < lastRow; row++) {
                y[row] = (float) (scratch.sums[row % ROWS] * (unit * w.rowScale(row)));
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
            if (chunk % CHUNKS == CHUNKS - 1 || first + GROUPS >= groups) {
                scratch.flush();
            }
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
        final int[] words = new int[GROUPS * ROWS];
        final int[] dots = new int[GROUPS * ROWS];
        final long[] sums = new long[ROWS];

        /** Moves the lanes to the rows' sums. */
        void flush() {
            for (int i = 0; i < ROWS; i += 4) {
                addRows(i);
            }
            Arrays.fill(dots, 0);
        }

        private void addRows(int i) {
            long a = 0;
            long b = 0;
            long c = 0;
            long d = 0;
            for (int l = i; l < dots.length; l += ROWS) {
                a += dots[l];
                b += dots[l + 1];
                c += dots[l + 2];
                d += dots[l + 3];
            }
            sums[i] += a;
            sums[i + 1] += b;
            sums[i + 2] += c;
            sums[i + 3] += d;
        }
    }
}
