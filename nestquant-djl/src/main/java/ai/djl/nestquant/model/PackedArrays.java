package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.kernels.Kernels;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A packed matrix in the host engine's memory, freed with the manager that it was allocated in.
 *
 * @param words the words, int32 {@code [tiles][ints per row][16]}
 * @param betas the indices, uint8 {@code [tiles · blocks · 6 + 2]}
 * @param rowScales the row scales' exponents, uint8 {@code [rows]}
 * @param matrix the view of all three that kernels take
 */
record PackedArrays(NDArray words, NDArray betas, NDArray rowScales, PackedMatrix matrix)
        implements CodedArrays {

    /** Makes an array of new memory. */
    private interface Allocation {
        NDArray of(NDManager manager, Shape shape, DataType type);
    }

    /** Allocates a matrix of zeros. */
    static PackedArrays allocate(
            NDManager manager, PackedCode code, int rows, int columns, float tensorScale) {
        return allocate(CodedArrays::zeros, manager, code, rows, columns, tensorScale);
    }

    /** Allocates a matrix all of whose codes and scales are written next. */
    static PackedArrays allocateRoom(
            NDManager manager, PackedCode code, int rows, int columns, float tensorScale) {
        return allocate(CodedArrays::room, manager, code, rows, columns, tensorScale);
    }

    private static PackedArrays allocate(
            Allocation array,
            NDManager manager,
            PackedCode code,
            int rows,
            int columns,
            float tensorScale) {
        long tiles = (rows + PackedMatrix.TILE_ROWS - 1) / PackedMatrix.TILE_ROWS;
        int blocks = columns / PackedMatrix.BLOCK;
        Shape shape = new Shape(tiles, code.wordsPerRow(blocks), PackedMatrix.TILE_ROWS);
        NDArray words = array.of(manager, shape, DataType.INT32);
        Shape indices = new Shape(PackedMatrix.indexBytes(rows, columns));
        NDArray betas = array.of(manager, indices, DataType.UINT8);
        NDArray rowScales = array.of(manager, new Shape(rows), DataType.UINT8);
        return of(code, words, betas, rowScales, columns, tensorScale);
    }

    private static PackedArrays of(
            PackedCode code,
            NDArray words,
            NDArray betas,
            NDArray rowScales,
            int columns,
            float tensorScale) {
        PackedMatrix matrix =
                new PackedMatrix(
                        code,
                        Math.toIntExact(rowScales.size()),
                        columns,
                        tensorScale,
                        words.toByteBuffer(true).asIntBuffer(),
                        betas.toByteBuffer(true),
                        rowScales.toByteBuffer(true));
        return new PackedArrays(words, betas, rowScales, matrix);
    }

    /** Copies codes and scales into arrays of another manager. */
    PackedArrays copy(NDManager manager) {
        NDArray[] copies = {words.duplicate(), betas.duplicate(), rowScales.duplicate()};
        for (NDArray array : copies) {
            array.attach(manager);
        }
        return of(
                matrix.code(),
                copies[0],
                copies[1],
                copies[2],
                matrix.columns(),
                matrix.tensorScale());
    }

    @Override
    public Map<String, NDArray> named() {
        Map<String, NDArray> named = new LinkedHashMap<>();
        named.put("words", words);
        named.put("betas", betas);
        named.put("row_scales", rowScales);
        return named;
    }

    @Override
    public int rows() {
        return matrix.rows();
    }

    @Override
    public void decodeRow(int row, float[] out) {
        byte[] integers = new byte[matrix.columns()];
        matrix.decodeRow(row, integers);
        CodedArrays.scale(integers, matrix.rowScale(row), out);
    }

    @Override
    public CodedProduct product() {
        return CodedProduct.of(matrix);
    }

    @Override
    public void encode(int first, float[] rotated, DistortionStats stats) {
        int end = first + rotated.length / matrix.columns();
        DistortionStats receiver = stats == null ? new DistortionStats() : stats;
        Kernels.best().encodeRows(matrix, first, end, rotated, 0, receiver);
    }

    /** Returns the bytes that are really allocated, the tensor scale included. */
    @Override
    public long bytes() {
        return CodedArrays.super.bytes() + Float.BYTES;
    }

    @Override
    public long storedBytes() {
        return matrix.storedBytes();
    }
}
