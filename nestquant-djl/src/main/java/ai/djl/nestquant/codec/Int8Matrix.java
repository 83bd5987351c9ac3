package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * A matrix of int8 rows with one float scale each, laid out in tiles of 16 rows: 8 + 32/columns
 * bits per entry. It is the finer code for embeddings and output heads.
 *
 * <table>
 * <caption>Buffers; T = ⌈rows/16⌉ tiles, G = columns/4 groups per row</caption>
 * <tr><td>words</td><td>int [T][G][16]</td><td>columns 4g to 4g + 3 of row 16t + i as two's
 * complement bytes, column 4g the lowest</td></tr>
 * <tr><td>rowScales</td><td>float [rows]</td><td>absmax/127 of the row</td></tr>
 * </table>
 *
 * <p>An entry decodes to {@code scale(row) · q}, −127 ≤ q ≤ 127, at most half a scale from what was
 * encoded. Rows beyond the last in its tile hold zeros. The buffers are direct and in native order,
 * shared with native code and not owned.
 *
 * <p>Rows can be encoded by several threads at once; thread-safe for reading once its buffers are
 * written.
 */
public final class Int8Matrix implements CodedMatrix {
    /** Rows of a tile. */
    public static final int TILE_ROWS = 16;

    /** Entries of a word. */
    public static final int GROUP = 4;

    /** The largest integer; −128 is never used, so that negation stays within int8. */
    public static final int LARGEST = Byte.MAX_VALUE;

    private final int rows;
    private final int columns;
    private final IntBuffer words;
    private final FloatBuffer rowScales;

    /**
     * Makes a matrix over given buffers, from their positions on.
     *
     * @param rows number of rows, positive
     * @param columns number of columns, a positive multiple of 4
     * @param words int [T][G][16], direct, native order
     * @param rowScales float [rows], direct, native order
     * @throws IllegalArgumentException if a size, a buffer's length or its order does not fit
     */
    public Int8Matrix(int rows, int columns, IntBuffer words, FloatBuffer rowScales) {
        int count = words(rows, columns);
        check("words", words.remaining(), count, words.isDirect(), words.order());
        check("rowScales", rowScales.remaining(), rows, rowScales.isDirect(), rowScales.order());
        this.rows = rows;
        this.columns = columns;
        this.words = words.slice();
        this.rowScales = rowScales.slice();
    }

    /**
     * Allocates a matrix of zeros.
     *
     * @param rows number of rows, positive
     * @param columns number of columns, a positive multiple of 4
     * @return a matrix over new direct buffers
     * @throws IllegalArgumentException if a size does not fit
     */
    public static Int8Matrix allocate(int rows, int columns) {
        return new Int8Matrix(
                rows,
                columns,
                allocate(words(rows, columns)).asIntBuffer(),
                allocate(rows).asFloatBuffer());
    }

    private static ByteBuffer allocate(int count) {
        return ByteBuffer.allocateDirect(count * Integer.BYTES).order(ByteOrder.nativeOrder());
    }

    /** Returns the number of words, after checking that they fit in one buffer. */
    private static int words(int rows, int columns) {
        if (rows <= 0 || columns <= 0 || columns % GROUP != 0) {
            throw new IllegalArgumentException(
                    "an int8 matrix needs rows, and columns in multiples of 4, got "
                            + rows
                            + " x "
                            + columns);
        }
        long tileRows = (rows + TILE_ROWS - 1L) / TILE_ROWS * TILE_ROWS;
        if (tileRows * columns > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    rows + " x " + columns + " bytes do not fit in one buffer; split the rows");
        }
        return (int) (tileRows * (columns / GROUP));
    }

    private static void check(
            String name, int actual, int expected, boolean direct, ByteOrder order) {
        if (actual != expected || !direct || order != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException(
                    String.format(
                            "%s: need a direct buffer of %d entries in native order, got %s of %d,"
                                    + " %s",
                            name, expected, direct ? "direct" : "heap", actual, order));
        }
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int columns() {
        return columns;
    }

    /** Returns T, the number of row tiles. */
    public int tiles() {
        return (rows + TILE_ROWS - 1) / TILE_ROWS;
    }

    /** Returns G, the number of words in a row. */
    public int groups() {
        return columns / GROUP;
    }

    /** Returns a view of the words, int [T][G][16]. */
    public IntBuffer words() {
        return words.duplicate();
    }

    /** Returns a view of the row scales, float [rows]. */
    public FloatBuffer rowScales() {
        return rowScales.duplicate();
    }

    /** Returns the index in {@link #words} of a row's group of four columns. */
    public int wordIndex(int row, int group) {
        return (row / TILE_ROWS * groups() + group) * TILE_ROWS + row % TILE_ROWS;
    }

    @Override
    public float rowScale(int row) {
        return rowScales.get(row);
    }

    /**
     * Encodes a row, {@code q = round(x · 127/absmax)}.
     *
     * @param row 0 to rows − 1
     * @param entries holds float [columns] from the offset on
     * @param offset the row's first entry
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming row and column
     */
    public void encodeRow(int row, float[] entries, int offset) {
        float absmax = 0;
        for (int c = 0; c < columns; c++) {
            float x = entries[offset + c];
            if (!Float.isFinite(x)) {
                throw new IllegalArgumentException(
                        "column " + c + " of row " + row + " is " + x + ", cannot be quantised");
            }
            absmax = Math.max(absmax, Math.abs(x));
        }
        double factor = absmax == 0 ? 0 : LARGEST / (double) absmax;
        for (int g = 0; g < groups(); g++) {
            int word = 0;
            for (int i = 0; i < GROUP; i++) {
                int q = (int) Math.floor(entries[offset + GROUP * g + i] * factor + 0.5);
                word |= (q & 0xFF) << Byte.SIZE * i;
            }
            words.put(wordIndex(row, g), word);
        }
        rowScales.put(row, absmax / LARGEST);
    }

    @Override
    public void decodeRow(int row, byte[] out) {
        for (int g = 0; g < groups(); g++) {
            int word = words.get(wordIndex(row, g));
            for (int i = 0; i < GROUP; i++) {
                out[GROUP * g + i] = (byte) (word >> Byte.SIZE * i);
            }
        }
    }

    /** Returns the bytes stored: words, filled tiles included, and row scales. */
    public long sizeInBytes() {
        return (long) Integer.BYTES * words.capacity() + (long) Float.BYTES * rowScales.capacity();
    }

    @Override
    public String toString() {
        return "Int8Matrix[" + rows + " x " + columns + "]";
    }
}
