package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.PackedMatrix;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An int8 matrix in the host engine's memory, freed with the manager that it was allocated in.
 *
 * @param words the codes, int32 {@code [tiles][groups][16]}
 * @param rowScales the rows' scales, float32 {@code [rows]}
 * @param matrix the view of both that kernels take
 */
record Int8Arrays(NDArray words, NDArray rowScales, Int8Matrix matrix) implements CodedArrays {

    /** Allocates a matrix of zeros. */
    static Int8Arrays allocate(NDManager manager, int rows, int columns) {
        long tiles = (rows + Int8Matrix.TILE_ROWS - 1) / Int8Matrix.TILE_ROWS;
        long groups = columns / Int8Matrix.GROUP;
        NDArray words =
                CodedArrays.zeros(
                        manager, new Shape(tiles, groups, Int8Matrix.TILE_ROWS), DataType.INT32);
        NDArray rowScales = CodedArrays.zeros(manager, new Shape(rows), DataType.FLOAT32);
        Int8Matrix matrix =
                new Int8Matrix(
                        rows,
                        columns,
                        words.toByteBuffer(true).asIntBuffer(),
                        rowScales.toByteBuffer(true).asFloatBuffer());
        return new Int8Arrays(words, rowScales, matrix);
    }

    @Override
    public Map<String, NDArray> named() {
        Map<String, NDArray> named = new LinkedHashMap<>();
        named.put("words", words);
        named.put("row_scales", rowScales);
        return named;
    }

    @Override
    public void encode(int first, float[] rotated, DistortionStats stats) {
        int columns = matrix.columns();
        byte[] decoded = new byte[columns];
        for (int i = 0; i < rotated.length / columns; i++) {
            matrix.encodeRow(first + i, rotated, i * columns);
            if (stats == null) {
                continue;
            }
            matrix.decodeRow(first + i, decoded);
            double error = 0;
            double norm = 0;
            for (int c = 0; c < columns; c++) {
                double x = rotated[i * columns + c];
                double difference = x - matrix.rowScale(first + i) * decoded[c];
                error += difference * difference;
                norm += x * x;
            }
            stats.addRow(error, norm, columns / PackedMatrix.BLOCK, 0);
        }
    }
}
