package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nestquant.codec.ClippedQuantizer;
import ai.djl.nestquant.codec.RowQuantizer;
import java.util.stream.IntStream;

/**
 * Symmetric int4 with one clipped scale for each rotated row, which stands in for the lattice code
 * in comparisons: rows become what they would be decoded to and stay floats.
 *
 * <p>Stateless and safe for concurrent use.
 */
final class SimulatedCode {

    private static final RowQuantizer INT4 = new ClippedQuantizer(4);

    private SimulatedCode() {}

    /**
     * Codes and decodes rows in place.
     *
     * @param rows {@code [count][columns]}, rotated
     * @param count the number of rows, positive
     */
    static void apply(float[] rows, int count) {
        int columns = rows.length / count;
        IntStream.range(0, count)
                .parallel()
                .forEach(row -> INT4.quantize(rows, row * columns, columns, rows));
    }

    /** Codes and decodes the vectors along an array's last axis. */
    static NDArray apply(NDArray vectors) {
        float[] rows = vectors.toFloatArray();
        apply(rows, Math.toIntExact(vectors.size() / vectors.getShape().getLastDimension()));
        return vectors.getManager().create(rows, vectors.getShape());
    }
}
