package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** What the kernels' public methods check before the loops trust their arguments. */
final class Checks {
    private static final float SMALLEST_TENSOR_SCALE = 1e-9f;
    private static final float LARGEST_SCALE = 1e16f;

    private Checks() {}

    static void multiply(int rows, int columns, Int8Rows x, int length) {
        if (x.columns() != columns) {
            throw new IllegalArgumentException(
                    "x has " + x.columns() + " entries, the matrix " + columns + " columns");
        }
        if (length != (long) x.rows() * rows) {
            throw new IllegalArgumentException(
                    String.format(
                            "y has %d entries, %d rows of x times %d rows of the matrix need %d",
                            length, x.rows(), rows, (long) x.rows() * rows));
        }
    }

    static void rows(int rows, int columns, int from, int to, int available) {
        if (from < 0 || to < from || to > rows) {
            throw new IllegalArgumentException(
                    "rows " + from + " to " + to + " are not in a matrix of " + rows + " rows");
        }
        long needed = (long) (to - from) * columns;
        if (available < needed) {
            throw new IllegalArgumentException(
                    (to - from)
                            + " rows of "
                            + columns
                            + " columns need "
                            + needed
                            + " floats, the panel has "
                            + available);
        }
    }

    /** Rows to encode; their scales must stay where squares of floats are normal. */
    static void encode(PackedMatrix w, int from, int to, float[] x, int offset) {
        if (offset < 0) {
            throw new IllegalArgumentException("the offset is negative: " + offset);
        }
        rows(w.rows(), w.columns(), from, to, x.length - offset);
        if (!(w.tensorScale() >= SMALLEST_TENSOR_SCALE && w.tensorScale() <= LARGEST_SCALE)) {
            throw new IllegalArgumentException(
                    "tensor scale " + w.tensorScale() + " is outside 1e-9..1e16; rescale the rows");
        }
    }

    /** Stored tiles to read; returns their number. */
    static int stored(StoredCodes codes, PackedMatrix matrix, int tile) {
        int wordBytes = matrix.wordsPerTile() * Integer.BYTES;
        int tiles = codes.words().capacity() / wordBytes;
        if (codes.words().capacity() != tiles * wordBytes
                || codes.betas().capacity() != tiles * matrix.blocks() * Integer.BYTES
                || !codes.words().isDirect()
                || !codes.betas().isDirect()
                || tile < 0
                || tiles > matrix.tiles() - tile) {
            throw new IllegalArgumentException(
                    String.format(
                            "%d bytes of words and %d of indices are not tiles of %s from tile"
                                    + " %d on, in direct buffers",
                            codes.words().capacity(), codes.betas().capacity(), matrix, tile));
        }
        return tiles;
    }

    /** Vectors to encode; returns their length. */
    static int vectors(float[] x, int rows) {
        int columns = rows == 0 ? 0 : x.length / rows;
        if (rows < 0 || rows * columns != x.length || columns % PackedMatrix.BLOCK != 0) {
            throw new IllegalArgumentException(
                    x.length + " floats are not " + rows + " rows of a multiple of 8 columns");
        }
        return columns;
    }

    /** Memory to write. */
    static void direct(ByteBuffer memory) {
        if (!memory.isDirect()) {
            throw new IllegalArgumentException("need a direct buffer, got " + memory);
        }
    }

    /** A rotation of a matrix's rows. */
    static void rotation(Rotation rotation, CodedMatrix w) {
        if (rotation.paddedLength() != w.columns()) {
            throw new IllegalArgumentException(
                    "the matrix has "
                            + w.columns()
                            + " columns, its rotation "
                            + rotation.paddedLength());
        }
    }

    /** Floats that C++ is to reach. */
    static void buffer(String name, FloatBuffer buffer, long needed) {
        if (!buffer.isDirect()
                || buffer.order() != ByteOrder.nativeOrder()
                || buffer.remaining() < needed) {
            throw new IllegalArgumentException(
                    name + ": need a direct buffer of " + needed + " floats, got " + buffer);
        }
    }

    /** Memory to read; returns its number of 64-bit words. */
    static int words(ByteBuffer memory) {
        if (!memory.isDirect() || memory.capacity() % Long.BYTES != 0) {
            throw new IllegalArgumentException(
                    "need a direct buffer of a multiple of 8 bytes, got " + memory);
        }
        return memory.capacity() / Long.BYTES;
    }
}
