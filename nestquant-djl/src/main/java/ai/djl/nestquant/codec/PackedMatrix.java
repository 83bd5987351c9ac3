package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;

/**
 * A matrix on the words of a {@link PackedCode}, laid out in tiles of 16 rows: 4.25 or 3.25 bits
 * per entry.
 *
 * <table>
 * <caption>Buffers; T = ⌈rows/16⌉ tiles, B = columns/8 blocks per row, W = B ints per row, or
 * 3·⌈B/4⌉ in three-bit codes</caption>
 * <tr><td>words</td><td>int [T][W][16]</td><td>words of row 16t + i, see {@link
 * PackedCode#pack}</td></tr>
 * <tr><td>betas</td><td>int [T][B]</td><td>low bits of the ladder index of row 16t + i in bits 2i
 * and 2i + 1</td></tr>
 * <tr><td>rowScales</td><td>byte [rows]</td><td>unsigned e: {@code scale = tensorScale · 2^(−e/12)}</td></tr>
 * </table>
 *
 * <p>An entry decodes to {@code scale(row) · m_j · y}, where {@code m_j·y} is an int8. Rows beyond
 * the last in its tile hold zeros. The buffers are direct and in native order, shared with native
 * code and not owned.
 *
 * <p>Immutable as seen from here; thread-safe once its buffers are written.
 */
public final class PackedMatrix implements CodedMatrix {
    /** Rows of a tile. */
    public static final int TILE_ROWS = 16;

    /** Entries of a block. */
    public static final int BLOCK = 8;

    /** Row scales are {@code tensorScale · 2^(−e / STEPS_PER_OCTAVE)}. */
    public static final int STEPS_PER_OCTAVE = 12;

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
    private final IntBuffer betas;
    private final ByteBuffer rowScales;

    /**
     * Makes a matrix over given buffers, from their positions on.
     *
     * @param code what the words mean
     * @param rows number of rows, positive
     * @param columns number of columns, a positive multiple of 8
     * @param tensorScale the largest row scale; positive and finite
     * @param words int [T][W][16], direct, native order
     * @param betas int [T][B], direct, native order
     * @param rowScales byte [rows], direct
     * @throws IllegalArgumentException if a size, a buffer's length or its order does not fit
     */
    public PackedMatrix(
            PackedCode code,
            int rows,
            int columns,
            float tensorScale,
            IntBuffer words,
            IntBuffer betas,
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
        this.betas = checked("betas", betas, tiles() * blocks());
        if (rowScales.remaining() != rows || !rowScales.isDirect()) {
            throw new IllegalArgumentException(
                    "rowScales: need a direct buffer of " + rows + " bytes, got " + rowScales);
        }
        this.rowScales = rowScales.slice();
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
                allocateInts(tiles * blocks),
                ByteBuffer.allocateDirect(rows));
    }

    /** Returns what the words mean. */
    public PackedCode code() {
        return code;
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

    /** Returns a view of the ladder indices, int [T][B]. */
    public IntBuffer betas() {
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
        code.put(words, tile * wordsPerTile(), block, lane, code.pack(y, betaIndex));
        int at = betaIndex(tile, block);
        betas.put(at, betas.get(at) & ~(3 << 2 * lane) | (betaIndex & 3) << 2 * lane);
    }

    /** Returns the index in {@link #betas} of the ladder indices of a tile's block column. */
    public int betaIndex(int tile, int block) {
        return tile * blocks() + block;
    }

    @Override
    public float rowScale(int row) {
        return rowScale(tensorScale, rowScales.get(row) & 255);
    }

    @Override
    public void decodeRow(int row, byte[] out) {
        int[] y = new int[BLOCK];
        int shift = 2 * (row % TILE_ROWS);
        for (int block = 0; block < blocks(); block++) {
            int word = word(row, block);
            code.leader(word, y);
            int step = code.step(word, betas.get(betaIndex(row / TILE_ROWS, block)) >>> shift & 3);
            for (int i = 0; i < BLOCK; i++) {
                out[block * BLOCK + i] = (byte) (step * y[i]);
            }
        }
    }

    /** Returns the bytes stored: words, ladder indices, row exponents and the tensor scale. */
    public long sizeInBytes() {
        return 4L * words.capacity() + 4L * betas.capacity() + rowScales.capacity() + Float.BYTES;
    }

    /**
     * Returns stored bits per entry: 4.25 or 3.25, 8/columns, and a little for the tensor scale.
     */
    public double bitsPerEntry() {
        return 8.0 * sizeInBytes() / ((double) rows * columns);
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
