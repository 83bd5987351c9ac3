package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.codec.RowQuantizer;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.IntStream;

/**
 * What rows decode to after a code has stored them, and what that cost.
 *
 * @param entries the decoded rows, [rows·columns]
 * @param distortion mean squared error per entry
 * @param overloads blocks or groups that overloaded
 */
record CodedRows(float[] entries, double distortion, long overloads) {

    /** Stores and decodes every row, on all cores. */
    static CodedRows of(RowQuantizer quantizer, float[] entries, int columns) {
        int rows = entries.length / columns;
        float[] decoded = new float[entries.length];
        double[] errors = new double[rows];
        LongAdder overloads = new LongAdder();
        IntStream.range(0, rows)
                .parallel()
                .forEach(
                        row -> {
                            int offset = row * columns;
                            overloads.add(quantizer.quantize(entries, offset, columns, decoded));
                            errors[row] = squaredError(entries, decoded, offset, columns);
                        });
        // one order of additions whatever the threads did
        double sum = 0;
        for (double error : errors) {
            sum += error;
        }
        return new CodedRows(decoded, sum / entries.length, overloads.sum());
    }

    private static double squaredError(float[] x, float[] y, int offset, int columns) {
        double sum = 0;
        for (int i = offset; i < offset + columns; i++) {
            double error = x[i] - y[i];
            sum += error * error;
        }
        return sum;
    }
}
