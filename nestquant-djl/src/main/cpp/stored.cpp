#include "product.h"

#include "leader.h"

/**
 * Cosets, as containers and caches store them, to what a matrix holds: the twin of
 * codec.StoredCodes, a row in each lane.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Bit 28 of a word, where a_7's lowest bit is: stored in its own way, and p in memory. */
constexpr int LAST = 1 << 28;

/** The mask that keeps all bits. */
constexpr std::int32_t ALL = -1;

/** The low three bits of the low nibble of every byte. */
constexpr std::int32_t LOW_FIELDS = bytes(0x07);

/** The largest byte of every lane in its lowest byte; others are anything. */
NQ_INLINE Part largestByte(Part v) {
    v = maxBytes(v, shiftRight(v, 16));
    return maxBytes(v, shiftRight(v, 8));
}

/** Bits of a where `mask` has ones, of b elsewhere. */
NQ_INLINE Part chosen(Part mask, Part a, Part b) {
    return (a & mask) | (b & ~mask);
}

/** The parity of the lowest bits of nibbles in bit 28; lower ones are anything. */
NQ_INLINE Part parities(Part v) {
    return times(v & 0x11111111, 0x11111111);
}

/** A coset's representative in [-q, q), doubled, with the nibbles of a and p as in memory. */
struct Coset {
    Part nibbles;
    Part p;

    /** Bytes y + q of coordinates 0 to 3 and 4 to 7. */
    Part low;
    Part high;
};

template <int BITS>
NQ_INLINE Coset coset(Part nibbles, Part p) {
    constexpr std::int32_t FIELDS = bytes((1 << BITS) - 1);
    constexpr std::int32_t SIGNS = bytes(1 << (BITS - 1));
    return {nibbles, p, ((nibbles & FIELDS) ^ SIGNS) << 1 | p,
            ((shiftRight(nibbles, 4) & FIELDS) ^ SIGNS) << 1 | p};
}

/** The word of a leader: far ones are q to the other sign, so the top bits of all fields flip. */
template <int BITS>
NQ_INLINE Part wordOf(const Coset& c, Part far) {
    return ((c.nibbles ^ (far & (0x11111111 << (BITS - 1)))) & ~LAST) | (c.p & 1) << 28;
}

/** The place of p in stored words, the free sign of a_1. */
template <int BITS>
constexpr int PARITY_BIT = 8 + BITS - 1;

/** A coset modulo q·D8*, the twin of DualNibbleWord: its word, and the third bit of its index. */
template <int BITS>
NQ_INLINE void convertDual(Part& word, Part& index) {
    constexpr int Q = 1 << BITS;
    index |= shiftRight(word, 26) & 4;
    Part nibbles = word & ~(LAST | 1 << PARITY_BIT<BITS>);
    nibbles |= parities(nibbles) & LAST;
    Coset c = coset<BITS>(nibbles, spread(word, PARITY_BIT<BITS>, bytes(1)));
    word = wordOf<BITS>(c, (Part)(sumBytes(sizes<Q>(c.low) + sizes<Q>(c.high)) > 4 * Q));
}

/** A coset modulo q·E8 on the way to its leader, the twin of NibbleWord. */
template <int BITS>
struct Gathering {
    static constexpr int Q = 1 << BITS;

    Coset c;

    /** Eight times |y|, and 7 less the coordinate's number: the first of equal ones wins. */
    Part low;
    Part high;

    /** Masks: all coordinates are nearer when moved by q, one more by 2q; the latter's size. */
    Part far;
    Part moves;
    Part key;

    explicit NQ_INLINE Gathering(Part word) {
        Part nibbles = word & ~(1 << PARITY_BIT<BITS>);
        Part odd = parities(nibbles);
        c = coset<BITS>(nibbles ^ (odd & LAST), spread(word, PARITY_BIT<BITS>, bytes(1)));
        Part b = spread(odd, 28, ALL);
        Part farB = spread(parities(shiftRight(c.nibbles, BITS - 1)), 28, ALL) ^ b;
        low = sizes<Q>(c.low);
        high = sizes<Q>(c.high);
        Part sum = sumBytes(low + high);
        low = low << 3 | 0x04050607;
        high = high << 3 | 0x00010203;
        Part large = largestByte(maxBytes(low, high));
        Part small = largestByte(maxBytes(low ^ bytes(0xF8), high ^ bytes(0xF8)));
        // sum - 4q + b·(2q - 2·max) - farB·2·min > 0, all times 4
        Part excess = 4 * sum - 16 * Q + (b & (8 * Q - (large & 0xF8))) -
                      (farB & (0xF8 - (small & 0xF8)));
        far = (Part)(excess > 0);
        moves = chosen(far, farB, b);
        key = chosen(far, small ^ 0xF8, large);
    }
};

/** A coset modulo q·E8: its word, and whether a coordinate moves. */
template <int BITS>
NQ_INLINE void convert(Part& word, Part& index) {
    Gathering<BITS> g(word);
    word = wordOf<BITS>(g.c, g.far);
    index |= g.moves & 4;
}

/** Two bits for each of WIDTH lanes from `first` on. */
NQ_INLINE Part storedIndices(std::int32_t betas, int first) {
    const Lanes lanes = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    Part shifts;
    std::memcpy(&shifts, reinterpret_cast<const std::int32_t*>(&lanes) + first, sizeof shifts);
    return (Part)((UPart)all<Part>(betas) >> (UPart)shifts) & 3;
}

/** Three bits of every row. */
NQ_INLINE void writeIndices(const std::int32_t* indices, std::uint8_t* to) {
    std::uint64_t all = 0;
    for (int i = 0; i < ROWS; i++) {
        all |= static_cast<std::uint64_t>(indices[i]) << 3 * i;
    }
    std::memcpy(to, &all, INDEX_BYTES);
}

/** The words of a group's blocks, a coordinate in each nibble; the twin of PackedCode.word. */
template <int BITS>
NQ_INLINE void splitGroup(const std::int32_t* ints, Part* words) {
    words[0] = load<Part>(ints);
    if (BITS == 3) {
        Part a = words[0];
        Part b = load<Part>(ints + ROWS);
        Part c = load<Part>(ints + 2 * ROWS);
        words[0] = (a & LOW_FIELDS) | (a & LOW_FIELDS << 3) << 1;
        words[1] = (b & LOW_FIELDS) | (b & LOW_FIELDS << 3) << 1;
        words[2] = (c & LOW_FIELDS) | (c & LOW_FIELDS << 3) << 1;
        words[3] = (a >> 6 & bytes(0x03)) | (c >> 4 & bytes(0x04)) | (b >> 2 & bytes(0x30)) |
                   (c >> 1 & bytes(0x40));
    }
}

/** The twin of PackedCode.put. */
template <int BITS>
NQ_INLINE void joinGroup(const Part* words, std::int32_t* ints) {
    if (BITS == 4) {
        store(ints, words[0]);
        return;
    }
    Part tops[] = {(words[3] & bytes(0x03)) << 6, (words[3] & bytes(0x30)) << 2,
                   (words[3] & bytes(0x04)) << 4 | (words[3] & bytes(0x40)) << 1};
    for (int i = 0; i < 3; i++) {
        Part fields = (words[i] & LOW_FIELDS) | (words[i] >> 1 & LOW_FIELDS << 3);
        store(ints + i * ROWS, fields | tops[i]);
    }
}

template <int BITS, bool DUAL>
void readTile(const StoredTiles& s, int tile, std::int32_t* words, std::uint8_t* betas) {
    constexpr int GROUP = BITS == 4 ? 1 : 4;
    constexpr int INTS = (BITS == 4 ? 1 : 3) * ROWS;
    int blocks = s.columns / 8;
    std::int64_t groups = (blocks + GROUP - 1) / GROUP;
    for (int group = 0; group < groups; group++) {
        std::int64_t at = (tile * groups + group) * INTS;
        std::int64_t column = static_cast<std::int64_t>(tile) * blocks + group * GROUP;
        int count = blocks - group * GROUP < GROUP ? blocks - group * GROUP : GROUP;
        std::int32_t indices[GROUP][ROWS];
        for (int lane = 0; lane < ROWS; lane += WIDTH) {
            Part group[GROUP] = {};
            splitGroup<BITS>(s.words + at + lane, group);
            for (int i = 0; i < GROUP; i++) {
                if (i >= count) {
                    group[i] = Part{};
                    continue;
                }
                Part index = storedIndices(s.betas[column + i], lane);
                if (DUAL) {
                    convertDual<BITS>(group[i], index);
                } else {
                    convert<BITS>(group[i], index);
                }
                store(indices[i] + lane, index);
            }
            joinGroup<BITS>(group, words + at + lane);
        }
        for (int i = 0; i < count; i++) {
            writeIndices(indices[i], betas + (column + i) * INDEX_BYTES);
        }
    }
}

}  // namespace

void readStored(const StoredTiles& s, int tile, std::int32_t* words, std::uint8_t* betas) {
    switch (s.code) {
        case E8_16: readTile<4, false>(s, tile, words, betas); break;
        case D8_16: readTile<4, true>(s, tile, words, betas); break;
        case E8_8: readTile<3, false>(s, tile, words, betas); break;
        case D8_8: readTile<3, true>(s, tile, words, betas); break;
        case INT8: break;
    }
}

void decodeStored(const StoredTiles& s, int tile, std::int32_t* panel) {
    using Leader = Gosset<16>;
    int blocks = s.columns / 8;
    const std::int32_t* words = s.words + static_cast<std::int64_t>(tile) * blocks * ROWS;
    const std::int32_t* betas = s.betas + static_cast<std::int64_t>(tile) * blocks;
    for (int block = 0; block < blocks; block++) {
        for (int lane = 0; lane < ROWS; lane += WIDTH) {
            Gathering<4> g(load<Part>(words + block * ROWS + lane));
            Part key = lowestByte(g.key);
            Part moves = g.moves & bytes(2 * Leader::RATIO);
            Part far = g.far & bytes(3 * Leader::RATIO);
            Block leader = {
                (g.c.low + bytes(Leader::RATIO)) ^ far ^
                    ((Part)((Bytes)g.low == (Bytes)key) & moves),
                (g.c.high + bytes(Leader::RATIO)) ^ far ^
                    ((Part)((Bytes)g.high == (Bytes)key) & moves)};
            Part index = storedIndices(betas[block], lane) << Leader::INDEX;
            writeIntegers<Leader>(leader, index, panel + block * 2 * ROWS + lane);
        }
    }
}

}  // namespace NQ_LEVEL
}  // namespace nq
