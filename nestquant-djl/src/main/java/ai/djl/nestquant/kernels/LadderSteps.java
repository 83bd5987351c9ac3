package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedCode;

/** Ladder steps m of lanes, from the words' spare bits and the bits beside them. */
final class LadderSteps {
    private static final int ROWS = LeaderLanes.ROWS;
    private static final int SPARE_BIT = 28;

    /** Moves row i's index bits to the top. */
    private static final int[] TO_TOP = new int[ROWS * LeaderLanes.BLOCKS];

    static {
        for (int l = 0; l < TO_TOP.length; l++) {
            TO_TOP[l] = 1 << 30 - 2 * (l % ROWS);
        }
    }

    private LadderSteps() {}

    /**
     * Fills in the steps of all lanes.
     *
     * @param code the code, for 3:4:5:7 or 3:4:5:6:7:8:10:12
     * @param words the lanes' words
     * @param betas index bits, int [blocks]
     * @param blocks number of blocks
     * @param steps receives the steps, int [blocks][16]
     */
    static void fill(PackedCode code, int[] words, int[] betas, int blocks, int[] steps) {
        for (int b = 0; b < blocks; b++) {
            Lanes.fill(steps, ROWS * b, betas[b]);
        }
        if (code.dual()) {
            eight(ROWS * blocks, words, TO_TOP, steps);
        } else {
            four(ROWS * blocks, TO_TOP, steps);
        }
    }

    /** {@code m = 3 + j + (j = 3)}. */
    private static void four(int n, int[] toTop, int[] steps) {
        for (int l = 0; l < n; l++) {
            int j = steps[l] * toTop[l] >>> 30;
            steps[l] = 3 + j + (j & j >>> 1);
        }
    }

    /** {@code m = 3 + j + (j = 6) + 2·(j = 7)}. */
    private static void eight(int n, int[] words, int[] toTop, int[] steps) {
        for (int l = 0; l < n; l++) {
            int low = steps[l] * toTop[l] >>> 30;
            int high = words[l] >>> SPARE_BIT & 1;
            int top = high & low >>> 1;
            steps[l] = 3 + low + 4 * high + top + (top & low);
        }
    }
}
