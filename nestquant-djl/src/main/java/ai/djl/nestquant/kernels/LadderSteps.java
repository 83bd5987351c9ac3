package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedCode;
import java.nio.ByteBuffer;

/** Indices beside the words of lanes, and the ladder steps m that they stand for. */
final class LadderSteps {
    private static final int ROWS = LeaderLanes.ROWS;

    /** Bits of an index. */
    private static final int BITS = 3;

    /** Bytes of a tile's indices for one block. */
    private static final int BYTES = BITS * ROWS / Byte.SIZE;

    /** Rows whose indices fit into an int. */
    private static final int HALF = ROWS / 2;

    /** Moves row i's index to the top. */
    private static final int[] TO_TOP = new int[ROWS * LeaderLanes.BLOCKS];

    static {
        for (int l = 0; l < TO_TOP.length; l++) {
            TO_TOP[l] = 1 << Integer.SIZE - BITS - BITS * (l % HALF);
        }
    }

    private LadderSteps() {}

    /**
     * Reads the indices of all lanes.
     *
     * @param betas a matrix's indices, little-endian
     * @param at where those of the first block begin
     * @param blocks number of blocks
     * @param indices receives the indices, int [blocks][16]
     */
    static void read(ByteBuffer betas, int at, int blocks, int[] indices) {
        for (int b = 0; b < blocks; b++) {
            long all = betas.getLong(at + BYTES * b);
            Lanes.fillHalf(indices, ROWS * b, (int) all);
            Lanes.fillHalf(indices, ROWS * b + HALF, (int) (all >>> BITS * HALF));
        }
        spread(ROWS * blocks, TO_TOP, indices);
    }

    private static void spread(int n, int[] toTop, int[] indices) {
        for (int l = 0; l < n; l++) {
            indices[l] = indices[l] * toTop[l] >>> Integer.SIZE - BITS;
        }
    }

    /**
     * Fills in the steps of all lanes.
     *
     * @param code the code, for 3:4:5:7 or 3:4:5:6:7:8:10:12
     * @param indices the lanes' indices
     * @param blocks number of blocks
     * @param steps receives the steps, int [blocks][16]
     */
    static void fill(PackedCode code, int[] indices, int blocks, int[] steps) {
        if (code.dual()) {
            eight(ROWS * blocks, indices, steps);
        } else {
            four(ROWS * blocks, indices, steps);
        }
    }

    /** {@code m = 3 + j + (j = 3)}. */
    private static void four(int n, int[] indices, int[] steps) {
        for (int l = 0; l < n; l++) {
            int j = indices[l] & 3;
            steps[l] = 3 + j + (j & j >>> 1);
        }
    }

    /** {@code m = 3 + j + (j = 6) + 2·(j = 7)}. */
    private static void eight(int n, int[] indices, int[] steps) {
        for (int l = 0; l < n; l++) {
            int j = indices[l];
            int top = j >>> 2 & j >>> 1;
            steps[l] = 3 + j + top + (top & j);
        }
    }
}
