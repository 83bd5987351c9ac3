package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;
import java.nio.ByteBuffer;

/**
 * A matrix in a code of whole bits per digit, row after row, for lookups of single rows: 2.25 bits
 * with 4·E8, 3.25 with 8·E8, 6.25 with 64·E8 (near lossless: embeddings, output heads), four scales
 * each.
 *
 * <p>With w = ⌈bits of a {@link DigitWord}/8⌉ and B blocks, a row takes {@code B·w + ⌈B·s/8⌉ + 1}
 * bytes: the words, little-endian; the scale indices, s bits each, low bits first; the exponent e
 * of the row's scale {@code tensorScale · 2^(−e/12)}. Bits of the w bytes that a word leaves free
 * hold the high bits of its index, so s is what is left of log2(k).
 *
 * <p>Thread-safe for different rows.
 */
public final class WordMatrix {
    private static final int BLOCK = PackedMatrix.BLOCK;

    private final VoronoiCode code;
    private final BetaSet betas;
    private final int rows;
    private final int columns;
    private final float tensorScale;
    private final ByteBuffer bytes;
    private final int wordBits;
    private final int wordBytes;
    private final int indexBits;

    /**
     * Makes a matrix over given bytes, from their position on.
     *
     * @param rows number of rows, positive
     * @param columns number of columns, a positive multiple of 8
     * @param code a code whose nesting ratio is a power of two
     * @param betas the scales that can be stored; a power of two of them, at most 256
     * @param tensorScale the row scale of exponent 0; positive and finite
     * @param bytes [rows][{@link #rowBytes}]
     * @throws IllegalArgumentException if a size does not fit
     */
    public WordMatrix(
            int rows,
            int columns,
            VoronoiCode code,
            BetaSet betas,
            float tensorScale,
            ByteBuffer bytes) {
        RowChecks.wholeBlocks(columns);
        if (rows <= 0 || !(tensorScale > 0) || tensorScale == Float.POSITIVE_INFINITY) {
            throw new IllegalArgumentException(
                    rows + " rows with tensor scale " + tensorScale + ": both must be positive");
        }
        if (Integer.bitCount(betas.size()) != 1 || betas.size() > 256) {
            throw new IllegalArgumentException(
                    betas.size() + " scales; stored indices need a power of two up to 256");
        }
        this.code = code;
        this.betas = betas;
        this.rows = rows;
        this.columns = columns;
        this.tensorScale = tensorScale;
        this.wordBits = new DigitWord(code).bits();
        this.wordBytes = (wordBits + 7) / 8;
        this.indexBits = indexBits(code, betas);
        long size = (long) rows * rowBytes(columns, code, betas);
        if (bytes.remaining() != size) {
            throw new IllegalArgumentException(
                    rows
                            + " x "
                            + columns
                            + " entries in "
                            + code.name()
                            + " take "
                            + size
                            + " bytes, got "
                            + bytes.remaining());
        }
        this.bytes = bytes.slice();
    }

    /**
     * Encodes a matrix on the calling thread.
     *
     * @param entries [rows][columns], finite, rotated and padded
     * @param rows number of rows
     * @param columns number of columns, a multiple of 8
     * @param code a code whose nesting ratio is a power of two
     * @param betas the scales that can be stored; a power of two of them
     * @param stats receives the distortion
     * @return the matrix over a new direct buffer
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public static WordMatrix encode(
            float[] entries,
            int rows,
            int columns,
            VoronoiCode code,
            BetaSet betas,
            DistortionStats stats) {
        float largest = 0;
        for (int row = 0; row < rows; row++) {
            float norm = RowEncoder.largestBlockNorm(entries, row * columns, columns);
            largest = Math.max(largest, norm);
        }
        float tensorScale = RowEncoder.tensorScale(code, betas, largest);
        WordMatrix matrix = allocate(rows, columns, code, betas, tensorScale);
        for (int row = 0; row < rows; row++) {
            matrix.encodeRow(row, entries, row * columns, stats);
        }
        return matrix;
    }

    /**
     * Allocates a matrix of zeros over a new direct buffer.
     *
     * @param rows number of rows
     * @param columns number of columns, a multiple of 8
     * @param code a code whose nesting ratio is a power of two
     * @param betas the scales that can be stored; a power of two of them
     * @param tensorScale the row scale of exponent 0, see {@link RowEncoder#tensorScale}
     * @return the matrix
     */
    public static WordMatrix allocate(
            int rows, int columns, VoronoiCode code, BetaSet betas, float tensorScale) {
        int rowBytes = rowBytes(columns, code, betas);
        ByteBuffer bytes = ByteBuffer.allocateDirect(Math.multiplyExact(rows, rowBytes));
        return new WordMatrix(rows, columns, code, betas, tensorScale, bytes);
    }

    /**
     * Returns the bytes of a row.
     *
     * @param columns number of columns, a multiple of 8
     * @param code a code whose nesting ratio is a power of two
     * @param betas the scales that can be stored
     * @return {@code B·w + ⌈B·s/8⌉ + 1}
     */
    public static int rowBytes(int columns, VoronoiCode code, BetaSet betas) {
        int blocks = columns / BLOCK;
        int words = (new DigitWord(code).bits() + 7) / 8 * blocks;
        return words + (blocks * indexBits(code, betas) + 7) / 8 + 1;
    }

    /** Returns the number of rows. */
    public int rows() {
        return rows;
    }

    /** Returns the number of columns, padding included. */
    public int columns() {
        return columns;
    }

    /** Returns the scale of rows with exponent 0. */
    public float tensorScale() {
        return tensorScale;
    }

    /** Returns a view of the stored bytes, [rows][rowBytes]. */
    public ByteBuffer bytes() {
        return bytes.duplicate();
    }

    /** Returns stored bits per entry, tensor scale included. */
    public double bitsPerEntry() {
        return 8.0 * (bytes.capacity() + Float.BYTES) / ((double) rows * columns);
    }

    /**
     * Encodes one row; calls for different rows may run at the same time.
     *
     * @param row 0 to rows − 1
     * @param entries the row's buffer
     * @param offset index of its first entry
     * @param stats receives the distortion
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public void encodeRow(int row, float[] entries, int offset, DistortionStats stats) {
        RowEncoder encoder = new RowEncoder(code, betas, tensorScale, RowEncoder.SCALE_WINDOW);
        DigitWord words = new DigitWord(code);
        int start = row * stride();
        for (int i = 0; i < stride(); i++) {
            bytes.put(start + i, (byte) 0);
        }
        int exponent =
                encoder.encode(
                        entries,
                        offset,
                        columns,
                        (block, point, index) -> {
                            long high = (long) (index >> indexBits) << wordBits;
                            putBits(start, 8 * wordBytes * block, words.pack(point) | high);
                            putBits(indexStart(row), indexBits * block, index & lowMask());
                        },
                        stats);
        bytes.put(start + stride() - 1, (byte) exponent);
    }

    /**
     * Decodes one row.
     *
     * @param row 0 to rows − 1
     * @param out receives the entries [columns]
     * @param offset index of the first entry in out
     */
    public void decodeRow(int row, float[] out, int offset) {
        DigitWord words = new DigitWord(code);
        int start = row * stride();
        float scale = PackedMatrix.rowScale(tensorScale, bytes.get(start + stride() - 1) & 255);
        int[] y = new int[BLOCK];
        for (int block = 0; block < columns / BLOCK; block++) {
            long word = getBits(start, 8 * wordBytes * block, 8 * wordBytes);
            words.leader(word, y);
            int high = wordBits == Long.SIZE ? 0 : (int) (word >>> wordBits) << indexBits;
            int index = high | (int) getBits(indexStart(row), indexBits * block, indexBits);
            float halfStep = (float) (0.5 * betas.beta(index) * scale);
            for (int i = 0; i < BLOCK; i++) {
                out[offset + block * BLOCK + i] = halfStep * y[i];
            }
        }
    }

    private static int indexBits(VoronoiCode code, BetaSet betas) {
        int free = -new DigitWord(code).bits() & 7;
        return Math.max(0, Integer.numberOfTrailingZeros(betas.size()) - free);
    }

    private int lowMask() {
        return (1 << indexBits) - 1;
    }

    private int stride() {
        return rowBytes(columns, code, betas);
    }

    private int indexStart(int row) {
        return row * stride() + columns / BLOCK * wordBytes;
    }

    /** Adds the bits of a value to zeroed bytes, low bits first, from bit {@code first} on. */
    private void putBits(int start, int first, long value) {
        long rest = value;
        for (int bit = first; rest != 0; bit += 8 - bit % 8) {
            int at = start + bit / 8;
            bytes.put(at, (byte) (bytes.get(at) | rest << bit % 8));
            rest >>>= 8 - bit % 8;
        }
    }

    private long getBits(int start, int first, int count) {
        long value = 0;
        for (int bit = 0; bit < count; ) {
            int position = first + bit;
            int taken = Math.min(8 - position % 8, count - bit);
            long piece = bytes.get(start + position / 8) >> position % 8 & (1 << taken) - 1;
            value |= piece << bit;
            bit += taken;
        }
        return value;
    }
}
