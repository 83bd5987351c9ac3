package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nestquant.kernels.Kernels;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/**
 * Head vectors of a cache as a container would store them, in an eighth of a bit less than weights
 * take in memory: far fewer of them are decoded for a token, and long contexts need the room.
 *
 * @param words the words, int32 {@code [tiles][blocks][16]}
 * @param betas the ladder indices, int32 {@code [tiles][blocks]}
 * @param rowScales the exponents of the vectors' scales, uint8 {@code [rows]}
 */
record CacheSegment(NDArray words, NDArray betas, NDArray rowScales) {

    /**
     * Scale exponents reach down 21 octaves from here: any block of 8 entries up to norm 1792 is
     * covered, and Gaussian vectors down to a standard deviation of 2e-4 keep their relative error.
     */
    private static final float TENSOR_SCALE = 16f;

    /** The better of the 4-bit codes: keys make the cache's error, and no weights are read here. */
    private static final PackedCode CODE = PackedCode.E8_16;

    private static final int TILE_ROWS = PackedMatrix.TILE_ROWS;

    /** Allocates room for so many vectors, whole tiles of them. */
    static CacheSegment allocate(NDManager manager, int rows, int size) {
        long blocks = size / PackedMatrix.BLOCK;
        long tiles = rows / TILE_ROWS;
        Shape shape = new Shape(tiles, blocks, TILE_ROWS);
        return new CacheSegment(
                CodedArrays.zeros(manager, shape, DataType.INT32),
                CodedArrays.zeros(manager, new Shape(tiles, blocks), DataType.INT32),
                CodedArrays.zeros(manager, new Shape(rows), DataType.UINT8));
    }

    /** Copies codes and scales into arrays of another manager. */
    CacheSegment copy(NDManager manager) {
        NDArray[] copies = {words.duplicate(), betas.duplicate(), rowScales.duplicate()};
        for (NDArray array : copies) {
            array.attach(manager);
        }
        return new CacheSegment(copies[0], copies[1], copies[2]);
    }

    /** Hands out the three buffers, see {@link ai.djl.nestquant.kernels.LayerKernel.Cache}. */
    void fill(Buffer[] slots, int at) {
        slots[at] = words.toByteBuffer(true).asIntBuffer();
        slots[at + 1] = betas.toByteBuffer(true).asIntBuffer();
        slots[at + 2] = rowScales.toByteBuffer(true);
    }

    /** Returns the bytes that are really allocated, and those of the scale that all share. */
    long bytes() {
        return WeightSummary.bytes(words)
                + WeightSummary.bytes(betas)
                + WeightSummary.bytes(rowScales)
                + Float.BYTES;
    }

    /**
     * Encodes vectors; several threads may do so for rows of different tiles.
     *
     * @param row the first one's row
     * @param count their number
     * @param x holds them, one after the other
     * @param offset of the first entry in x
     */
    void encode(int row, int count, float[] x, int offset) {
        PackedMatrix coded = PackedMatrix.allocate(CODE, count, columns(), TENSOR_SCALE);
        Kernels.best().encodeRows(coded, 0, count, x, offset, new DistortionStats());
        StoredCodes codes = new StoredCodes(words.toByteBuffer(true), betas.toByteBuffer(true));
        ByteBuffer exponents = rowScales.toByteBuffer(true);
        for (int i = 0; i < count; i++) {
            codes.writeRow(row + i, coded, i);
            exponents.put(row + i, coded.rowScales().get(i));
        }
    }

    /**
     * Decodes vectors.
     *
     * @param row the first one's row, the first of a tile
     * @param count their number
     * @param panel receives {@code [count][size]}
     */
    void decode(int row, int count, FloatBuffer panel) {
        PackedMatrix coded = PackedMatrix.allocate(CODE, count, columns(), TENSOR_SCALE);
        StoredCodes codes = new StoredCodes(tiles(words, row, coded), tiles(betas, row, coded));
        Kernels.best().readStored(codes, coded, 0);
        coded.rowScales().put(rowScales.toByteBuffer(true).slice(row, count));
        Kernels.best().decodeRows(coded, 0, count, panel);
    }

    /** The tiles from a row on that a matrix of some rows has. */
    private static ByteBuffer tiles(NDArray array, int row, PackedMatrix matrix) {
        int bytes = (int) (WeightSummary.bytes(array) / array.getShape().get(0));
        int first = row / TILE_ROWS;
        return array.toByteBuffer(true).slice(first * bytes, matrix.tiles() * bytes);
    }

    private int columns() {
        return (int) words.getShape().get(1) * PackedMatrix.BLOCK;
    }
}
