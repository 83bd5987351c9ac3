package ai.djl.nestquant.codec;

/** What every row quantiser asks of its input. */
final class RowChecks {
    /** Entries stay below this size, so that their squares stay finite in float. */
    private static final float LARGEST_ENTRY = 1e15f;

    private RowChecks() {}

    /**
     * Returns ‖row‖².
     *
     * @throws IllegalArgumentException if an entry is NaN, infinite or beyond 1e15, naming it
     */
    static double squaredNorm(float[] entries, int offset, int columns) {
        double sum = 0;
        for (int i = 0; i < columns; i++) {
            float x = entries[offset + i];
            if (!(Math.abs(x) < LARGEST_ENTRY)) {
                throw new IllegalArgumentException(
                        "column "
                                + i
                                + " of the row at offset "
                                + offset
                                + " is "
                                + x
                                + ", cannot be quantised");
            }
            sum += (double) x * x;
        }
        return sum;
    }

    /** Refuses row lengths that are no multiple of 8, naming the length. */
    static void wholeBlocks(int columns) {
        if (columns <= 0 || columns % 8 != 0) {
            throw new IllegalArgumentException(
                    "row length " + columns + " is not a positive multiple of 8; pad the rows");
        }
    }
}
