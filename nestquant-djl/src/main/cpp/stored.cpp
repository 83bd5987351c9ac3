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

/** The low three bits of the low nibble of every byte. */
constexpr std::int32_t LOW_FIELDS = bytes(0x07);

/** The largest byte of every lane in its lowest byte; others are anything. */
NQ_INLINE Part largestByte(Part v) {
    v = maxBytes(v, shiftRight(v, 16));
    return maxBytes(v, shiftRight(v, 8));
}

/** What a coset's word becomes: its leader's, and the index beside that, from two bits of it. */
template <int BITS, bool DUAL>
NQ_INLINE void convert(Part& word, Part& index) {
    constexpr int Q = 1 << BITS;
    constexpr int PARITY_BIT = 8 + BITS - 1;
    constexpr std::int32_t FIELDS = bytes(Q - 1);
    Part p = spread(word, PARITY_BIT, bytes(1));
    Part nibbles = word & ~(1 << PARITY_BIT);
    // bit 28 of the products is the parity
    Part b = times(nibbles & (0x11111111 & ~(DUAL ? LAST : 0)), 0x11111111) & LAST;
    if (DUAL) {
        index |= shiftRight(word, 26) & 4;
        nibbles = (nibbles & ~LAST) | b;
    } else {
        nibbles ^= b;
    }
    Part low = sizes<Q>(((nibbles & FIELDS) ^ bytes(Q / 2)) << 1 | p);
    Part high = sizes<Q>(((shiftRight(nibbles, 4) & FIELDS) ^ bytes(Q / 2)) << 1 | p);
    Part excess = sumBytes(low + high) - 4 * Q;
    if (!DUAL) {
        Part negatives = times(shiftRight(nibbles, BITS - 1) & 0x11111111, 0x11111111) & LAST;
        Part farMoves = negatives ^ b;
        Part most = largestByte(maxBytes(low, high)) & 255;
        Part least = ~largestByte(maxBytes(~low, ~high)) & 255;
        excess += (spread(b, 28, -1) & 2 * (Q - most)) - (spread(farMoves, 28, -1) & 2 * least);
        Part moves = ((Part)(excess > 0) & (farMoves ^ b)) ^ b;
        index |= shiftRight(moves, 26);
    }
    // to the other sign, by q in y: the top bits of all fields
    nibbles ^= (Part)(excess > 0) & (0x11111111 << (BITS - 1));
    word = (nibbles & ~LAST) | (p & 1) << 28;
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
                convert<BITS, DUAL>(group[i], index);
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
    using Code = FourBits<Gosset>;
    int blocks = s.columns / 8;
    const std::int32_t* words = s.words + static_cast<std::int64_t>(tile) * blocks * ROWS;
    const std::int32_t* betas = s.betas + static_cast<std::int64_t>(tile) * blocks;
    for (int block = 0; block < blocks; block++) {
        for (int lane = 0; lane < ROWS; lane += WIDTH) {
            Part word = load<Part>(words + block * ROWS + lane);
            Part index = storedIndices(betas[block], lane);
            convert<4, false>(word, index);
            index <<= Code::Leader::INDEX;
            Block decoded = unpack4<Code::Leader>(word);
            Code::Leader::leaders<1>(&decoded, &index);
            writeIntegers<Code::Leader>(decoded, index, panel + block * 2 * ROWS + lane);
        }
    }
}

}  // namespace NQ_LEVEL
}  // namespace nq
