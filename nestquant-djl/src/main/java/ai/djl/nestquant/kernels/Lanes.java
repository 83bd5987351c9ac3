package ai.djl.nestquant.kernels;

/** Copies of one value for the rows of a tile. */
final class Lanes {
    private Lanes() {}

    /** Sets 16 lanes; written out, since JDK 17 takes twice as long for Arrays.fill. */
    static void fill(int[] lanes, int from, int value) {
        fillHalf(lanes, from, value);
        fillHalf(lanes, from + 8, value);
    }

    /** Sets 8 lanes. */
    static void fillHalf(int[] lanes, int from, int value) {
        lanes[from] = value;
        lanes[from + 1] = value;
        lanes[from + 2] = value;
        lanes[from + 3] = value;
        lanes[from + 4] = value;
        lanes[from + 5] = value;
        lanes[from + 6] = value;
        lanes[from + 7] = value;
    }
}
