package ai.djl.nestquant.codec;

/** What every row quantiser asks of its input. */
final class RowChecks {
    private RowChecks() {}

    /**
     * Returns ‖row‖².
     *
     * @throws IllegalArgumentException if it is not finite, naming the entry
     */
    static double squaredNorm(float[] entries, int offset, int columns) {
        double sum = 0;
        for (int i = 0; i < columns; i++) {
            double x = entries[offset + i];
            sum += x * x;
        }
        if (!(sum <= Double.MAX_VALUE)) {
            throw unusableEntry(entries, offset, 0);
        }
        return sum;
    }

    /** Makes the exception for the first entry from {@code start} on that is no usable number. */
    static IllegalArgumentException unusableEntry(float[] entries, int offset, int start) {
        int column = start;
        // squares must be finite in float
        while (Math.abs(entries[offset + column]) < 1e18f) {
            column++;
        }
        return new IllegalArgumentException(
                "column "
                        + column
                        + " of the row at offset "
                        + offset
                        + " is "
                        + entries[offset + column]
                        + ", cannot be quantised");
    }
}
