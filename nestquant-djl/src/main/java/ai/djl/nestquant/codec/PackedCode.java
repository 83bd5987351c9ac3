package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.nio.IntBuffer;

/**
 * The codes that a {@link PackedMatrix} can hold, which kernels multiply by without unpacking: E8
 * modulo a coarse lattice, 4 or 3 bits per coordinate and an index of 3 bits per block beside them.
 *
 * <p>With D8* as the coarse lattice the index is one of eight scales; with E8 its low bits are one
 * of four, and the third tells whether a coordinate moves, see {@link LeaderWord}. In three-bit
 * codes four words share three ints, see {@link #word}.
 *
 * <p>Immutable and thread-safe.
 */
public enum PackedCode {
    /** 16·E8 with the ladder 3:4:5:7, the NestQuant paper's code with q = 16, of 4.25 bits. */
    E8_16(CoarseLattice.GOSSET, 4, Ladder.E8_16),
    /** 16·D8* with eight scales, of 4.25 bits: 10% more distortion, the fastest to decode. */
    D8_16(CoarseLattice.DUAL_CHECKERBOARD, 4, Ladder.D8_16),
    /** 8·E8 with the ladder 3:4:5:7, of 3.25 bits. */
    E8_8(CoarseLattice.GOSSET, 3, Ladder.E8_8),
    /** 8·D8* with eight scales, of 3.25 bits, the fastest to decode. */
    D8_8(CoarseLattice.DUAL_CHECKERBOARD, 3, Ladder.D8_8);

    private static final int ROWS = PackedMatrix.TILE_ROWS;

    /** The bit of an index that tells of a move in q·E8. */
    private static final int MOVES = 4;

    /** Blocks that share three ints of a row in three-bit codes. */
    private static final int GROUP = 4;

    /** The low three bits of each nibble of a byte, and the byte in all four. */
    private static final int LOW_FIELDS = 0x07070707;

    private final VoronoiCode cosets;
    private final int width;
    private final Ladder ladder;

    PackedCode(CoarseLattice coarse, int width, Ladder ladder) {
        this.cosets = new VoronoiCode(coarse, 1 << width);
        this.width = width;
        this.ladder = ladder;
    }

    /** Returns the cosets that words stand for. */
    public VoronoiCode cosets() {
        return cosets;
    }

    /** Returns the scales. */
    public Ladder ladder() {
        return ladder;
    }

    /** Returns the bits of a coordinate in a word, 4 or 3. */
    public int width() {
        return width;
    }

    /** Returns whether the coarse lattice is {@code q·D8*}, so that there are eight scales. */
    public boolean dual() {
        return ladder.size() == 8;
    }

    /**
     * Returns the ints that hold the words of one row.
     *
     * @param blocks number of blocks in the row
     * @return blocks, or {@code 3·⌈blocks/4⌉} in three-bit codes
     */
    public int wordsPerRow(int blocks) {
        return width == 4 ? blocks : (blocks + GROUP - 1) / GROUP * 3;
    }

    /**
     * Packs a block's leader.
     *
     * @param y a leader of the code, doubled integers [8]
     * @return the word, see {@link LeaderWord}; in three-bit codes the top bit of each nibble is 0
     */
    public int pack(int[] y) {
        return LeaderWord.pack(y, width);
    }

    /**
     * Returns what stands beside a block's word.
     *
     * @param y its leader, doubled integers [8]
     * @param betaIndex its scale
     * @return the index, 0 to 7
     */
    public int index(int[] y, int betaIndex) {
        return dual() || !LeaderWord.moves(y, width) ? betaIndex : betaIndex | MOVES;
    }

    /**
     * Decodes a word to its leader; every word and index is valid.
     *
     * @param word the word
     * @param index the index beside it
     * @param y receives the leader, doubled integers [8]
     */
    public void leader(int word, int index, int[] y) {
        LeaderWord.leader(word, !dual() && (index & MOVES) != 0, width, y);
    }

    /**
     * Returns the integer that a block's coordinates are multiplied by.
     *
     * @param index the index beside the block's word
     * @return the step m of the ladder
     */
    public int step(int index) {
        return ladder.step(dual() ? index : index & ~MOVES);
    }

    /**
     * Reads a block's word.
     *
     * <p>In three-bit codes byte j of ints 0 to 2 of a group holds coordinates j (bits 0 to 2) and
     * j + 4 (bits 3 to 5) of blocks 0 to 2. Of block 3, coordinate j has its low bits in bits 6 and
     * 7 of int 0 and its top bit in bit 6 of int 2; coordinate j + 4 has them in bits 6 and 7 of
     * int 1 and bit 7 of int 2.
     *
     * @param words int [{@link #wordsPerRow}][16] from start on, the words of a row tile
     * @param start index of the tile's first int
     * @param block the block
     * @param lane the row in its tile
     * @return the word
     */
    int word(IntBuffer words, int start, int block, int lane) {
        if (width == 4) {
            return words.get(start + block * ROWS + lane);
        }
        int at = start + block / GROUP * 3 * ROWS + lane;
        int member = block % GROUP;
        if (member < 3) {
            int v = words.get(at + member * ROWS);
            return v & LOW_FIELDS | (v >>> 3 & LOW_FIELDS) << 4;
        }
        int tops = words.get(at + 2 * ROWS);
        int low = words.get(at) >>> 6 & 0x03030303 | tops >>> 4 & 0x04040404;
        int high = words.get(at + ROWS) >>> 6 & 0x03030303 | tops >>> 5 & 0x04040404;
        return low | high << 4;
    }

    /** Writes a block's word, see {@link #word}. */
    void put(IntBuffer words, int start, int block, int lane, int word) {
        if (width == 4) {
            words.put(start + block * ROWS + lane, word);
            return;
        }
        int at = start + block / GROUP * 3 * ROWS + lane;
        int member = block % GROUP;
        int low = word & LOW_FIELDS;
        int high = word >>> 4 & LOW_FIELDS;
        if (member < 3) {
            replace(words, at + member * ROWS, 0x3F3F3F3F, low | high << 3);
        } else {
            replace(words, at, 0xC0C0C0C0, low << 6 & 0xC0C0C0C0);
            replace(words, at + ROWS, 0xC0C0C0C0, high << 6 & 0xC0C0C0C0);
            int tops = low << 4 & 0x40404040 | high << 5 & 0x80808080;
            replace(words, at + 2 * ROWS, 0xC0C0C0C0, tops);
        }
    }

    private static void replace(IntBuffer words, int at, int mask, int bits) {
        words.put(at, words.get(at) & ~mask | bits);
    }
}
