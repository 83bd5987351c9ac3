package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.IntBuffer;

/**
 * Decodes up to {@link #BLOCKS} blocks of a row tile at once: lane {@code 16·b + i} of every array
 * is block b of the tile's row i.
 *
 * <p>The formulas are those of {@code codec.LeaderWord.leader} with bytes in place of entries: a
 * lane holds four entries, "low" entries 0 to 3, "high" 4 to 7. Every stage is one loop of int
 * arithmetic without branches, small enough for HotSpot's superword pass: on JDK 17 it vectorises
 * shifts by constants, and, or, xor, +, −, · and abs, but neither min, max, variable shifts nor
 * conversions, and gives up on loops much longer than these.
 *
 * <p>Scratch of one thread.
 */
final class LeaderLanes {
    /** Rows of a tile. */
    static final int ROWS = PackedMatrix.TILE_ROWS;

    /**
     * Blocks decoded at once: fewer lanes pay more for starting and ending the loops, 64 blocks
     * make arrays of 4 KiB, which fall on the same cache lines.
     */
    static final int BLOCKS = 48;

    /** What {@link #low} and {@link #high} exceed the doubled coordinates by, in every byte. */
    static final int OFFSET = 32;

    private static final int LANES = ROWS * BLOCKS;
    private static final int FIELDS = 0x07070707;
    private static final int EACH = 0x01010101;
    private static final int TOP = 0x80808080;
    private static final int NIBBLE_LSB = 0x11111111;
    private static final int LAST_LSB = 0x10000000;
    private static final int SIGNS = 0x10101010;

    /** Doubled leader coordinates 0 to 3 plus {@link #OFFSET}, a byte each. */
    final int[] low = new int[LANES];

    /** Doubled leader coordinates 4 to 7 plus {@link #OFFSET}, a byte each. */
    final int[] high = new int[LANES];

    private final int[] words = new int[LANES];
    private final int[] packed = new int[LANES];
    private final int[] lowSizes = new int[LANES];
    private final int[] highSizes = new int[LANES];
    private final int[] wanted = new int[LANES];

    /**
     * Decodes words to {@link #low} and {@link #high}.
     *
     * @param code what the words mean
     * @param source words, int [..][16]
     * @param start index of the tile's first int
     * @param first the first block, a multiple of 4
     * @param blocks number of blocks, at most {@link #BLOCKS}
     * @param indices the lanes' indices, see {@link LadderSteps#read}
     */
    void decode(
            PackedCode code, IntBuffer source, int start, int first, int blocks, int[] indices) {
        int n = ROWS * blocks;
        if (code.width() == 4) {
            source.get(start + first * ROWS, words, 0, n);
            unpack(n, words, low, high);
        } else {
            int ints = code.wordsPerRow(blocks) * ROWS;
            source.get(start + code.wordsPerRow(first) * ROWS, packed, 0, ints);
            spread(ints / 3, packed, words);
            unpackThreeBits(n, words, low, high);
        }
        if (code.dual()) {
            offset(n, low, high);
            return;
        }
        sizes(n, low, high, lowSizes, highSizes);
        maxima(n, lowSizes, highSizes, wanted);
        foldMaxima(n, wanted);
        keepMoves(n, indices, wanted);
        move(n, wanted, lowSizes, highSizes, low, high);
    }

    /** Words to 5-bit two's complement doubled coordinates. */
    private static void unpack(int n, int[] words, int[] low, int[] high) {
        for (int l = 0; l < n; l++) {
            int p = words[l] << 3 >> 31 & EACH;
            int others = words[l] & ~LAST_LSB;
            // the product's top nibble counts the lowest bits: at most 7, no carries
            int a = others | (others & NIBBLE_LSB) * NIBBLE_LSB & LAST_LSB;
            low[l] = a << 1 & 0x1E1E1E1E | p;
            high[l] = a >>> 3 & 0x1E1E1E1E | p;
        }
    }

    /** Three ints of 24-bit words to four words, {@code PackedCode.word}. */
    private static void spread(int quarter, int[] packed, int[] words) {
        for (int l = 0; l < quarter; l++) {
            int lane = l % ROWS;
            int from = 3 * (l - lane) + lane;
            int to = 4 * (l - lane) + lane;
            int a = packed[from];
            int b = packed[from + ROWS];
            int c = packed[from + 2 * ROWS];
            words[to] = a & FIELDS | a << 1 & FIELDS << 4;
            words[to + ROWS] = b & FIELDS | b << 1 & FIELDS << 4;
            words[to + 2 * ROWS] = c & FIELDS | c << 1 & FIELDS << 4;
            words[to + 3 * ROWS] =
                    a >>> 6 & 0x03030303
                            | c >>> 4 & 0x04040404
                            | b >>> 2 & 0x30303030
                            | c >>> 1 & 0x40404040;
        }
    }

    /** As {@link #unpack}, for words of three-bit fields: twice the doubled coordinates. */
    private static void unpackThreeBits(int n, int[] words, int[] low, int[] high) {
        for (int l = 0; l < n; l++) {
            int p = (words[l] << 3 >> 31 & EACH) << 1;
            int others = words[l] & ~LAST_LSB;
            int a = others | (others & NIBBLE_LSB) * NIBBLE_LSB & LAST_LSB;
            low[l] = a << 2 & 0x1C1C1C1C | p;
            high[l] = a >>> 2 & 0x1C1C1C1C | p;
        }
    }

    /** Adds the offset to 5-bit two's complement. */
    private static void offset(int n, int[] low, int[] high) {
        for (int l = 0; l < n; l++) {
            low[l] = (low[l] ^ SIGNS) + SIGNS;
            high[l] = (high[l] ^ SIGNS) + SIGNS;
        }
    }

    /** Absolute values. */
    private static void sizes(int n, int[] low, int[] high, int[] lowSizes, int[] highSizes) {
        for (int l = 0; l < n; l++) {
            int x = low[l];
            int y = high[l];
            int nx = x >>> 4 & EACH;
            int ny = y >>> 4 & EACH;
            lowSizes[l] = (x ^ (nx << 5) - nx) + nx;
            highSizes[l] = (y ^ (ny << 5) - ny) + ny;
        }
    }

    /** Maxima of the four pairs (i, i + 4). */
    private static void maxima(int n, int[] lowSizes, int[] highSizes, int[] maxima) {
        for (int l = 0; l < n; l++) {
            int y = highSizes[l];
            int d = (lowSizes[l] | TOP) - y;
            int g = d & TOP;
            maxima[l] = y + (d & g - (g >>> 7));
        }
    }

    /** The maximum of four bytes to all of them. */
    private static void foldMaxima(int n, int[] maxima) {
        for (int l = 0; l < n; l++) {
            int b = maxima[l];
            int a = b >>> 16;
            int d = (a | TOP) - b;
            int g = d & TOP;
            maxima[l] = b + (d & g - (g >>> 7)) & 0xFFFF;
        }
        for (int l = 0; l < n; l++) {
            int b = maxima[l];
            int d = (b >>> 8 | TOP) - b;
            int g = d & TOP;
            maxima[l] = (b + (d & g - (g >>> 7)) & 0xFF) * EACH;
        }
    }

    /** Where no entry moves, to a size that none has. */
    private static void keepMoves(int n, int[] indices, int[] wanted) {
        for (int l = 0; l < n; l++) {
            int stays = (indices[l] >>> 2) - 1; // -1 or 0
            wanted[l] |= stays & 0x40404040;
        }
    }

    /** Adds the offset; the first entry of the wanted size moves by 32, which flips bit 5. */
    private static void move(
            int n, int[] wanted, int[] lowSizes, int[] highSizes, int[] low, int[] high) {
        for (int l = 0; l < n; l++) {
            int size = wanted[l];
            // the top bit of the bytes that equal size, then of the lowest of them
            int x = ~((lowSizes[l] ^ size) + 0x7F7F7F7F) & TOP;
            int y = ~((highSizes[l] ^ size) + 0x7F7F7F7F) & TOP;
            int first = (x & -x) >>> 2;
            int second = (y & -y) >>> 2 & ~((x | -x) >> 31);
            low[l] = (low[l] ^ SIGNS) + SIGNS ^ first;
            high[l] = (high[l] ^ SIGNS) + SIGNS ^ second;
        }
    }
}
