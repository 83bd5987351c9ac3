package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;

/**
 * Tiles of a {@link PackedMatrix} as containers store them, in 4.25 or 3.25 bits an entry: cosets
 * instead of their leaders, an eighth of a bit less than memory holds.
 *
 * <p>Thread-safe for different tiles.
 */
public final class StoredCodes {
    private static final int ROWS = PackedMatrix.TILE_ROWS;

    private final ByteBuffer words;
    private final ByteBuffer betas;
    private final IntBuffer wordInts;
    private final IntBuffer betaInts;

    /**
     * Makes codes over given buffers, from their positions on.
     *
     * @param words int [T][W][16], direct: a {@link NibbleWord} or {@link DualNibbleWord} for each
     *     block, placed as in memory
     * @param betas int [T][B], direct: bits 2i and 2i + 1 hold the low bits of row 16t + i's ladder
     *     index; a dual word holds bit 2
     */
    public StoredCodes(ByteBuffer words, ByteBuffer betas) {
        this.words = words.slice().order(ByteOrder.nativeOrder());
        this.betas = betas.slice().order(ByteOrder.nativeOrder());
        wordInts = this.words.asIntBuffer();
        betaInts = this.betas.asIntBuffer();
    }

    /**
     * Allocates zeros.
     *
     * @param matrix the matrix whose tiles are to be stored
     * @param tiles number of tiles
     * @return codes over new direct buffers
     */
    public static StoredCodes allocate(PackedMatrix matrix, int tiles) {
        return new StoredCodes(
                ByteBuffer.allocateDirect(tiles * matrix.wordsPerTile() * Integer.BYTES),
                ByteBuffer.allocateDirect(tiles * matrix.blocks() * Integer.BYTES));
    }

    /** Returns a view of the words, int [T][W][16] in native order. */
    public ByteBuffer words() {
        return words.duplicate().order(words.order());
    }

    /** Returns a view of the index bits, int [T][B] in native order. */
    public ByteBuffer betas() {
        return betas.duplicate().order(betas.order());
    }

    /**
     * Writes a row of a matrix. Not to be called for rows of one tile by several threads.
     *
     * @param row the row's number here
     * @param matrix the matrix
     * @param source the row's number there
     */
    public void writeRow(int row, PackedMatrix matrix, int source) {
        PackedCode code = matrix.code();
        int tile = row / ROWS;
        int lane = row % ROWS;
        int[] y = new int[PackedMatrix.BLOCK];
        for (int block = 0; block < matrix.blocks(); block++) {
            int index = matrix.index(source, block);
            code.leader(matrix.word(source, block), index, y);
            int word =
                    code.dual()
                            ? DualNibbleWord.pack(y, index, code.width())
                            : NibbleWord.pack(y, code.width());
            code.put(wordInts, tile * matrix.wordsPerTile(), block, lane, word);
            int at = tile * matrix.blocks() + block;
            int others = betaInts.get(at) & ~(3 << 2 * lane);
            betaInts.put(at, others | (index & 3) << 2 * lane);
        }
    }

    /**
     * Reads a tile into a matrix, whatever stood there; calls for different tiles may overlap.
     *
     * @param tile the tile's number here
     * @param matrix the matrix
     * @param target the tile's number there
     */
    public void read(int tile, PackedMatrix matrix, int target) {
        PackedCode code = matrix.code();
        int[] y = new int[PackedMatrix.BLOCK];
        matrix.clear(target);
        int rows = Math.min(ROWS, matrix.rows() - target * ROWS);
        for (int block = 0; block < matrix.blocks(); block++) {
            int low = betaInts.get(tile * matrix.blocks() + block);
            for (int lane = 0; lane < rows; lane++) {
                int word = code.word(wordInts, tile * matrix.wordsPerTile(), block, lane);
                int index = low >>> 2 * lane & 3;
                if (code.dual()) {
                    DualNibbleWord.leader(word, code.width(), y);
                    index |= DualNibbleWord.highBetaBit(word);
                } else {
                    NibbleWord.leader(word, code.width(), y);
                }
                matrix.put(target * ROWS + lane, block, y, index);
            }
        }
    }
}
