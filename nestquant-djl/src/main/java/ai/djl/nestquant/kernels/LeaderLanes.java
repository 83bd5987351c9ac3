package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.IntBuffer;

/**
 * Decodes up to {@link #BLOCKS} blocks of a row tile at once: lane {@code 16·b + i} of every array
 * is block b of the tile's row i.
 *
 * <p>The formulas are those of {@code codec.NibbleWord.leader} with bytes in place of entries: a
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

    /** Doubled leader coordinates 0 to 3 plus {@link #OFFSET}, a byte each. */
    final int[] low = new int[LANES];

    /** Doubled leader coordinates 4 to 7 plus {@link #OFFSET}, a byte each. */
    final int[] high = new int[LANES];

    /** Words as {@link ai.djl.nestquant.codec.PackedCode#pack} makes them. */
    final int[] words = new int[LANES];

    private final int[] packed = new int[LANES];
    private final int[] odd = new int[LANES];
    private final int[] negative = new int[LANES];
    private final int[] lowSizes = new int[LANES];
    private final int[] highSizes = new int[LANES];
    private final int[] sum = new int[LANES];
    private final int[] maxima = new int[LANES];
    private final int[] minima = new int[LANES];

    /**
     * Decodes words to {@link #low} and {@link #high}.
     *
     * @param code what the words mean
     * @param source words, int [..][16]
     * @param start index of the tile's first int
     * @param first the first block, a multiple of 4
     * @param blocks number of blocks, at most {@link #BLOCKS}
     */
    void decode(PackedCode code, IntBuffer source, int start, int first, int blocks) {
        int n = ROWS * blocks;
        if (code.width() == 4) {
            source.get(start + first * ROWS, words, 0, n);
            unpack(n, words, low, high, odd);
        } else {
            int ints = code.wordsPerRow(blocks) * ROWS;
            source.get(start + code.wordsPerRow(first) * ROWS, packed, 0, ints);
            spread(ints / 3, packed, words);
            unpackThreeBits(n, words, low, high, odd);
        }
        if (code.dual()) {
            // flipping a_7's lowest bit by the parity of all eight set it to that of the others
            dualSizes(n, low, high, sum);
            dualMove(n, sum, low, high);
            return;
        }
        sizes(n, low, high, lowSizes, highSizes, negative);
        extremes(n, lowSizes, highSizes, sum, maxima, minima);
        foldExtremes(n, maxima, minima);
        decide(n, sum, maxima, odd, negative);
        move(n, odd, negative, lowSizes, highSizes, low, high);
    }

    /** Words to 5-bit two's complement doubled coordinates; odd = −b. */
    private static void unpack(int n, int[] words, int[] low, int[] high, int[] odd) {
        for (int l = 0; l < n; l++) {
            int word = words[l];
            int p = word << 20 >> 31 & EACH;
            // the product's top nibble counts the lowest bits: at most 8, no carries
            int b = (word & NIBBLE_LSB) * NIBBLE_LSB << 3 >> 31;
            int a = word & ~0x800 ^ b & 0x10000000;
            low[l] = a << 1 & 0x1E1E1E1E | p;
            high[l] = a >>> 3 & 0x1E1E1E1E | p;
            odd[l] = b;
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
    private static void unpackThreeBits(int n, int[] words, int[] low, int[] high, int[] odd) {
        for (int l = 0; l < n; l++) {
            int word = words[l];
            int p = (word << 21 >> 31 & EACH) << 1;
            int b = (word & NIBBLE_LSB) * NIBBLE_LSB << 3 >> 31;
            int a = word & ~0x400 ^ b & 0x10000000;
            low[l] = a << 2 & 0x1C1C1C1C | p;
            high[l] = a >>> 2 & 0x1C1C1C1C | p;
            odd[l] = b;
        }
    }

    /** The sum of all absolute values. */
    private static void dualSizes(int n, int[] low, int[] high, int[] sum) {
        for (int l = 0; l < n; l++) {
            int x = low[l];
            int y = high[l];
            int nx = x >>> 4 & EACH;
            int ny = y >>> 4 & EACH;
            sum[l] = ((x ^ (nx << 5) - nx) + nx + (y ^ (ny << 5) - ny) + ny) * EACH >>> 24;
        }
    }

    /** Adds the offset, and moves all entries of far lanes by 8 towards the other sign. */
    private static void dualMove(int n, int[] sum, int[] low, int[] high) {
        for (int l = 0; l < n; l++) {
            int near = sum[l] - 65 >> 31 & 0x10101010;
            low[l] = (low[l] ^ near) + 0x10101010;
            high[l] = (high[l] ^ near) + 0x10101010;
        }
    }

    /** Absolute values, and −1 where the number of negative entries is odd. */
    private static void sizes(
            int n, int[] low, int[] high, int[] lowSizes, int[] highSizes, int[] negative) {
        for (int l = 0; l < n; l++) {
            int x = low[l];
            int y = high[l];
            int nx = x >>> 4 & EACH;
            int ny = y >>> 4 & EACH;
            lowSizes[l] = (x ^ (nx << 5) - nx) + nx;
            highSizes[l] = (y ^ (ny << 5) - ny) + ny;
            negative[l] = (nx + ny) * EACH << 7 >> 31;
        }
    }

    /** The sum of all sizes; maxima and 31 − minima of the four pairs (i, i + 4). */
    private static void extremes(
            int n, int[] lowSizes, int[] highSizes, int[] sum, int[] maxima, int[] minima) {
        for (int l = 0; l < n; l++) {
            int x = lowSizes[l];
            int y = highSizes[l];
            int d = (x | TOP) - y;
            int g = d & TOP;
            int excess = d & g - (g >>> 7);
            maxima[l] = y + excess;
            minima[l] = 0x1F1F1F1F - x + excess;
            sum[l] = (x + y) * EACH >>> 24;
        }
    }

    /** The maximum of maxima to its byte 0, of 31 − minima to its byte 2. */
    private static void foldExtremes(int n, int[] maxima, int[] minima) {
        for (int l = 0; l < n; l++) {
            int x = maxima[l];
            int y = minima[l];
            int a = x & 0xFFFF | y << 16 | TOP;
            int b = x >>> 16 | y & 0xFFFF0000;
            int d = a - b;
            int g = d & TOP;
            maxima[l] = b + (d & g - (g >>> 7));
        }
        for (int l = 0; l < n; l++) {
            int b = maxima[l];
            int a = b >>> 8 | TOP;
            int c = b & 0x00FF00FF;
            int d = a - c;
            int g = d & TOP;
            maxima[l] = c + (d & g - (g >>> 7));
        }
    }

    /**
     * Which coset of 16·D8 is nearer, {@code odd ← −far}, and the size of the entry that moves by
     * 16, {@code negative ← } that size in every byte, or a byte that no entry has.
     */
    private static void decide(int n, int[] sum, int[] extremes, int[] odd, int[] negative) {
        for (int l = 0; l < n; l++) {
            int e = extremes[l];
            int b = odd[l];
            int s = negative[l];
            int max = e & 31;
            int min = 31 - (e >>> 16 & 31);
            int far = 64 - sum[l] - (b & 32 - max - max) + ((s ^ b) & min + min) >> 31;
            int moves = b ^ s & far;
            int size = max ^ (max ^ min) & far;
            odd[l] = far;
            negative[l] = (size | ~moves & 64) * EACH;
        }
    }

    /**
     * Far entries move by 8 towards the other sign (bit 4), the first entry of the wanted size by
     * 16 (bit 5).
     */
    private static void move(
            int n,
            int[] far,
            int[] wanted,
            int[] lowSizes,
            int[] highSizes,
            int[] low,
            int[] high) {
        for (int l = 0; l < n; l++) {
            int size = wanted[l];
            // the top bit of the bytes that equal size, then of the lowest of them
            int x = ~((lowSizes[l] ^ size) + 0x7F7F7F7F) & TOP;
            int y = ~((highSizes[l] ^ size) + 0x7F7F7F7F) & TOP;
            int first = (x & -x) >>> 2;
            int second = (y & -y) >>> 2 & ~((x | -x) >> 31);
            // flipping the sign bit of a near entry adds 16, the rest of the offset is added
            int near = ~far[l] & 0x10101010;
            low[l] = (low[l] ^ near) + 0x10101010 ^ first;
            high[l] = (high[l] ^ near) + 0x10101010 ^ second;
        }
    }
}
