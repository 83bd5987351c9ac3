package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;

/**
 * A matrix on the words of a {@link PackedCode}, laid out in tiles of 16 rows: 4.375 or 3.375 bits
 * per entry in memory, of which containers need an eighth of a bit less ({@link StoredCodes}).
 *
 * <table>
 * <caption>Buffers; T = ⌈rows/16⌉ tiles, B = columns/8 blocks per row, W = B ints per row, or
 * 3·⌈B/4⌉ in three-bit codes</caption>
 * <tr><td>words</td><td>int [T][W][16]</td><td>words of row 16t + i, see {@link
 * PackedCode#pack}</td></tr>
 * <tr><td>betas</td><td>byte [T][B][6] and 2 more</td><td>{@link PackedCode#index} of row 16t + i
 * in bits 3i to 3i + 2, low bits first; the last two bytes let kernels load 8 at once</td></tr>
 * <tr><td>rowScales</td><td>byte [rows]</td><td>unsigned e: {@code scale = tensorScale · 2^(−e/12)}</td></tr>
 * </table>
 *
 * <p>An entry decodes to {@code scale(row) · m_j · y}, where {@code m_j·y} is an int8. Rows beyond
 * the last in its tile hold zeros. The buffers are direct and in native order, shared with native
 * code and not owned.
 *
 * <p>Immutable as seen from here; thread-safe once its buffers are written.
 */
public final class PackedMatrix {
    /** Rows of a tile. */
    public static final int TILE_ROWS = 16;

    /** Entries of a block. */
    public static final int BLOCK = 8;

    /** Row scales are {@code tensorScale · 2^(−e / STEPS_PER_OCTAVE)}. */
    public static final int STEPS_PER_OCTAVE = 12;

    /** Bits of the index beside a word. */
    private static final int INDEX_BITS = 3;

    private static final int LARGEST_INDEX = 7;

    /** Bytes of the indices of a tile's block column. */
    private static final int INDEX_BYTES = INDEX_BITS * TILE_ROWS / Byte.SIZE;

    private static final float[] SCALES = new float[256];

    static {
        for (int e = 0; e < SCALES.length; e++) {
            SCALES[e] = (float) Math.pow(2, -e / (double) STEPS_PER_OCTAVE);
        }
    }

    private final PackedCode code;
    private final int rows;
    private final int columns;
    private final float tensorScale;
    private final IntBuffer words;
    private final ByteBuffer betas;
    private final ByteBuffer rowScales;

    /**
     * Makes a matrix over given buffers, from their positions on.
     *
     * @param code what the words mean
     * @param rows number of rows, positive
     * @param columns number of columns, a positive multiple of 8
     * @param tensorScale the largest row scale; positive and finite
     * @param words int [T][W][16], direct, native order
     * @param betas byte [T·B·6 + 2], direct, see {@link #indexBytes}
     * @param rowScales byte [rows], direct
     * @throws IllegalArgumentException if a size, a buffer's length or its order does not fit
     */
    public PackedMatrix(
            PackedCode code,
            int rows,
            int columns,
            float tensorScale,
            IntBuffer words,
            ByteBuffer betas,
            ByteBuffer rowScales) {
        checkShape(rows, columns);
        if (!(tensorScale > 0) || tensorScale == Float.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("tensor scale " + tensorScale + " is not positive");
        }
        this.code = code;
        this.rows = rows;
        this.columns = columns;
        this.tensorScale = tensorScale;
        this.words = checked("words", words, tiles() * wordsPerTile());
        this.betas = checked("betas", betas, indexBytes(rows, columns));
        this.rowScales = checked("rowScales", rowScales, rows);
    }

    /**
     * Allocates a matrix of zeros.
     *
     * @param code what the words mean
     * @param rows number of rows, positive
     * @param columns number of columns, a positive multiple of 8
     * @param tensorScale the largest row scale; positive and finite
     * @return a matrix over new direct buffers
     * @throws IllegalArgumentException if a size does not fit
     */
    public static PackedMatrix allocate(PackedCode code, int rows, int columns, float tensorScale) {
        checkShape(rows, columns);
        int tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
        int blocks = columns / BLOCK;
        return new PackedMatrix(
                code,
                rows,
                columns,
                tensorScale,
                allocateInts(tiles * code.wordsPerRow(blocks) * TILE_ROWS),
                ByteBuffer.allocateDirect(indexBytes(rows, columns)),
                ByteBuffer.allocateDirect(rows));
    }

    /** Returns what the words mean. */
    public PackedCode code() {
        return code;
    }

    /** Returns the number of rows. */
    public int rows() {
        return rows;
    }

    /** Returns the number of columns, padding included. */
    public int columns() {
        return columns;
    }

    /** Returns T, the number of row tiles. */
    public int tiles() {
        return (rows + TILE_ROWS - 1) / TILE_ROWS;
    }

    /** Returns B, the number of blocks in a row. */
    public int blocks() {
        return columns / BLOCK;
    }

    /** Returns the scale of rows with exponent 0, the largest. */
    public float tensorScale() {
        return tensorScale;
    }

    /** Returns the ints of a tile's words, 16·W. */
    public int wordsPerTile() {
        return code.wordsPerRow(blocks()) * TILE_ROWS;
    }

    /** Returns a view of the words, int [T][W][16]. */
    public IntBuffer words() {
        return words.duplicate();
    }

    /** Returns a view of the indices, byte [T·B·6 + 2]. */
    public ByteBuffer betas() {
        return betas.duplicate();
    }

    /** Returns a view of the row exponents, byte [rows], unsigned. */
    public ByteBuffer rowScales() {
        return rowScales.duplicate();
    }

    /** Returns a block's word, as {@link PackedCode#pack} makes it. */
    public int word(int row, int block) {
        return code.word(words, row / TILE_ROWS * wordsPerTile(), block, row % TILE_ROWS);
    }

    /** Returns what stands beside a block's word, see {@link PackedCode#index}. */
    public int index(int row, int block) {
        int bit = INDEX_BITS * (row % TILE_ROWS);
        int at = indexAt(row / TILE_ROWS, block) + bit / Byte.SIZE;
        int two = betas.get(at) & 255 | betas.get(at + 1) << Byte.SIZE;
        return two >>> bit % Byte.SIZE & LARGEST_INDEX;
    }

    /**
     * Writes a block's code. Not to be called for rows of one tile by several threads.
     *
     * @param row 0 to rows − 1
     * @param block 0 to blocks − 1
     * @param y its leader, doubled integers [8]
     * @param betaIndex its scale's index in the ladder
     */
    public void put(int row, int block, int[] y, int betaIndex) {
        int tile = row / TILE_ROWS;
        int lane = row % TILE_ROWS;
        code.put(words, tile * wordsPerTile(), block, lane, code.pack(y));
        int bit = INDEX_BITS * lane;
        int at = indexAt(tile, block) + bit / Byte.SIZE;
        int shift = bit % Byte.SIZE;
        int value = code.index(y, betaIndex) << shift;
        int mask = LARGEST_INDEX << shift;
        betas.put(at, (byte) (betas.get(at) & ~mask | value));
        if (mask > 255) {
            int high = at + 1;
            betas.put(high, (byte) (betas.get(high) & ~(mask >> 8) | value >> 8));
        }
    }

    /** Fills a tile's words and indices with zeros. */
    void clear(int tile) {
        for (int i = 0; i < wordsPerTile(); i++) {
            words.put(tile * wordsPerTile() + i, 0);
        }
        for (int at = indexAt(tile, 0); at < indexAt(tile + 1, 0); at++) {
            betas.put(at, (byte) 0);
        }
    }

    /** Returns where the six bytes of a tile's block column begin in {@link #betas}. */
    public int indexAt(int tile, int block) {
        return INDEX_BYTES * (tile * blocks() + block);
    }

    /** Returns the length of {@link #betas} for a matrix of so many rows and columns. */
    public static int indexBytes(int rows, int columns) {
        int tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
        return INDEX_BYTES * tiles * (columns / BLOCK) + Short.BYTES;
    }

    /**
     * Returns the float that a row's integers are multiplied by.
     *
     * @param row 0 to rows − 1
     * @return {@code tensorScale · 2^(−e/12)}
     */
    public float rowScale(int row) {
        return rowScale(tensorScale, rowScales.get(row) & 255);
    }

    /**
     * Decodes a row to its integers.
     *
     * @param row 0 to rows − 1
     * @param out receives {@code m_j·y}, int8 [columns]; the row is this times {@link #rowScale}
     */
    public void decodeRow(int row, byte[] out) {
        int[] y = new int[BLOCK];
        for (int block = 0; block < blocks(); block++) {
            int index = index(row, block);
            code.leader(word(row, block), index, y);
            int step = code.step(index);
            for (int i = 0; i < BLOCK; i++) {
                out[block * BLOCK + i] = (byte) (step * y[i]);
            }
        }
    }

    /** Returns the bytes in memory: words, indices, row exponents and the tensor scale. */
    public long sizeInBytes() {
        return 4L * words.capacity() + betas.capacity() + rowScales.capacity() + Float.BYTES;
    }

    /** Returns the bytes that a container takes for the same, see {@link StoredCodes}. */
    public long storedBytes() {
        long indices = (long) Integer.BYTES * tiles() * blocks();
        return sizeInBytes() - betas.capacity() + indices;
    }

    /**
     * Returns stored bits per entry: 4.25 or 3.25, 8/columns, and a little for the tensor scale.
     */
    public double bitsPerEntry() {
        return 8.0 * storedBytes() / ((double) rows * columns);
    }

    @Override
    public String toString() {
        return "PackedMatrix[" + code + ", " + rows + " x " + columns + "]";
    }

    /** Returns the powers {@code 2^(−e/12)}, float [256], a copy. */
    public static float[] powers() {
        return SCALES.clone();
    }

    /** Returns {@code tensorScale · 2^(−exponent/12)} for an exponent of 0 to 255. */
    public static float rowScale(float tensorScale, int exponent) {
        return tensorScale * SCALES[exponent];
    }

    private static void checkShape(int rows, int columns) {
        if (rows <= 0 || columns <= 0 || columns % BLOCK != 0) {
            throw new IllegalArgumentException(
                    "a packed matrix needs rows, and columns in multiples of 8, got "
                            + rows
                            + " x "
                            + columns);
        }
        long tileRows = (rows + TILE_ROWS - 1L) / TILE_ROWS * TILE_ROWS;
        if (tileRows * (columns / BLOCK) > Integer.MAX_VALUE / Integer.BYTES) {
            throw new IllegalArgumentException(
                    rows + " x " + columns + " words do not fit in one buffer; split the rows");
        }
    }

    private static IntBuffer allocateInts(int count) {
        return ByteBuffer.allocateDirect(count * Integer.BYTES)
                .order(ByteOrder.nativeOrder())
                .asIntBuffer();
    }

    private static ByteBuffer checked(String name, ByteBuffer buffer, int length) {
        if (buffer.remaining() != length || !buffer.isDirect()) {
            throw new IllegalArgumentException(
                    name + ": need a direct buffer of " + length + " bytes, got " + buffer);
        }
        return buffer.slice();
    }

    private static IntBuffer checked(String name, IntBuffer buffer, int length) {
        if (buffer.remaining() != length
                || !buffer.isDirect()
                || buffer.order() != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException(
                    name
                            + ": need a direct buffer of "
                            + length
                            + " ints in native order, got "
                            + buffer);
        }
        return buffer.slice();
    }
}
