package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.Int8Matrix;

/**
 * An int8 matrix in the host engine's memory, freed with the manager that it was allocated in.
 *
 * @param words the codes, int32 {@code [tiles][groups][16]}
 * @param rowScales the rows' scales, float32 {@code [rows]}
 * @param matrix the view of both that kernels take
 */
record Int8Arrays(NDArray words, NDArray rowScales, Int8Matrix matrix) {

    /** Allocates a matrix of zeros. */
    static Int8Arrays allocate(NDManager manager, int rows, int columns) {
        long tiles = (rows + Int8Matrix.TILE_ROWS - 1) / Int8Matrix.TILE_ROWS;
        long groups = columns / Int8Matrix.GROUP;
        NDArray words =
                manager.zeros(new Shape(tiles, groups, Int8Matrix.TILE_ROWS), DataType.INT32);
        NDArray rowScales = manager.zeros(new Shape(rows), DataType.FLOAT32);
        Int8Matrix matrix =
                new Int8Matrix(
                        rows,
                        columns,
                        words.toByteBuffer(true).asIntBuffer(),
                        rowScales.toByteBuffer(true).asFloatBuffer());
        return new Int8Arrays(words, rowScales, matrix);
    }

    /** Returns the bytes that are really allocated. */
    long bytes() {
        return WeightSummary.bytes(words) + WeightSummary.bytes(rowScales);
    }
}
