#include "product.h"

#include "lanes.h"

/**
 * Cosets, as containers store them, to their leaders: the twin of codec.StoredCodes, a row in each
 * lane.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Bit 28 of a word, where a_7's lowest bit is: stored in its own way, and p in memory. */
constexpr int LAST_BIT = 28;

/** The low three bits of the low nibble of every byte. */
constexpr std::int32_t LOW_FIELDS = bytes(0x07);

NQ_INLINE Lanes chosen(Lanes mask, Lanes a, Lanes b) {
    return (a & mask) | (b & ~mask);
}

/** Parities of the lowest bits of all nibbles. */
NQ_INLINE Lanes parities(Lanes word) {
    word ^= word >> 16;
    word ^= word >> 8;
    word ^= word >> 4;
    return word & 1;
}

/** A block's word, and the index beside it, in place of what a container stores. */
template <int BITS, bool DUAL>
NQ_INLINE void convert(Lanes& word, Lanes& index) {
    constexpr int Q = 1 << BITS;
    constexpr int PARITY_BIT = 8 + BITS - 1;
    constexpr int LOWEST_BITS = 0x11111111;
    constexpr std::int32_t SIGNS = LOWEST_BITS << (BITS - 1);
    Lanes p = word >> PARITY_BIT & 1;
    Lanes nibbles = word & ~(1 << PARITY_BIT);
    Lanes b = parities(nibbles);
    if (DUAL) {
        index |= word >> LAST_BIT << 2 & 4;
        b ^= word >> LAST_BIT & 1;
        nibbles = (nibbles & ~(1 << LAST_BIT)) | b << LAST_BIT;
    } else {
        nibbles ^= b << LAST_BIT;
    }
    Lanes sum = {};
    Lanes most = {};
    Lanes least = all(Q);
    Lanes negatives = {};
    for (int i = 0; i < 8; i++) {
        int unused = 32 - BITS - 8 * (i % 4) - i / 4 * 4;
        Lanes y = (nibbles << unused >> (32 - BITS) << 1) + p;
        Lanes sign = y >> 31;
        Lanes size = (y ^ sign) - sign;
        sum += size;
        if (!DUAL) {
            most = chosen((Lanes)(size > most), size, most);
            least = chosen((Lanes)(size < least), size, least);
            negatives ^= sign;
        }
    }
    Lanes excess = sum - 4 * Q;
    if (!DUAL) {
        Lanes farMoves = (negatives & 1) ^ b;
        excess += (-b & 2 * (Q - most)) - (-farMoves & 2 * least);
        index |= chosen((Lanes)(excess > 0), farMoves, b) << 2;
    }
    // to the other sign, by q in y: the top bits of all nibbles
    nibbles ^= (Lanes)(excess > 0) & SIGNS;
    word = (nibbles & ~(1 << LAST_BIT)) | p << LAST_BIT;
}

/** Three bits of every lane. */
NQ_INLINE void writeIndices(Lanes index, std::uint8_t* to) {
    std::int32_t indices[ROWS];
    store(indices, index);
    std::uint64_t all = 0;
    for (int i = 0; i < ROWS; i++) {
        all |= static_cast<std::uint64_t>(indices[i]) << 3 * i;
    }
    std::memcpy(to, &all, INDEX_BYTES);
}

/** The words of a group's blocks, a coordinate in each nibble; the twin of PackedCode.word. */
template <int BITS>
NQ_INLINE void splitGroup(const std::int32_t* ints, Lanes* words) {
    words[0] = load(ints);
    if (BITS == 3) {
        Lanes a = words[0];
        Lanes b = load(ints + ROWS);
        Lanes c = load(ints + 2 * ROWS);
        words[0] = (a & LOW_FIELDS) | (a & LOW_FIELDS << 3) << 1;
        words[1] = (b & LOW_FIELDS) | (b & LOW_FIELDS << 3) << 1;
        words[2] = (c & LOW_FIELDS) | (c & LOW_FIELDS << 3) << 1;
        words[3] = (a >> 6 & bytes(0x03)) | (c >> 4 & bytes(0x04)) | (b >> 2 & bytes(0x30)) |
                   (c >> 1 & bytes(0x40));
    }
}

/** The twin of PackedCode.put. */
template <int BITS>
NQ_INLINE void joinGroup(const Lanes* words, std::int32_t* ints) {
    if (BITS == 4) {
        store(ints, words[0]);
        return;
    }
    Lanes tops[] = {(words[3] & bytes(0x03)) << 6, (words[3] & bytes(0x30)) << 2,
                    (words[3] & bytes(0x04)) << 4 | (words[3] & bytes(0x40)) << 1};
    for (int i = 0; i < 3; i++) {
        Lanes fields = (words[i] & LOW_FIELDS) | (words[i] >> 1 & LOW_FIELDS << 3);
        store(ints + i * ROWS, fields | tops[i]);
    }
}

template <int BITS, bool DUAL>
void readTile(const StoredTiles& s, int tile) {
    constexpr int GROUP = BITS == 4 ? 1 : 4;
    constexpr int INTS = (BITS == 4 ? 1 : 3) * ROWS;
    const Lanes shifts = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    int blocks = s.columns / 8;
    std::int64_t groups = (blocks + GROUP - 1) / GROUP;
    for (int group = 0; group < groups; group++) {
        std::int64_t at = (tile * groups + group) * INTS;
        Lanes words[GROUP];
        splitGroup<BITS>(s.storedWords + at, words);
        for (int i = 0; i < GROUP; i++) {
            int block = group * GROUP + i;
            if (block >= blocks) {
                words[i] = Lanes{};
                continue;
            }
            std::int64_t column = static_cast<std::int64_t>(tile) * blocks + block;
            Lanes index = all(s.storedBetas[column]) >> shifts & 3;
            convert<BITS, DUAL>(words[i], index);
            writeIndices(index, s.betas + column * INDEX_BYTES);
        }
        joinGroup<BITS>(words, s.words + at);
    }
}

}  // namespace

void readStored(const StoredTiles& s, int tile) {
    switch (s.code) {
        case E8_16: readTile<4, false>(s, tile); break;
        case D8_16: readTile<4, true>(s, tile); break;
        case E8_8: readTile<3, false>(s, tile); break;
        case D8_8: readTile<3, true>(s, tile); break;
        case INT8: break;
    }
}

}  // namespace NQ_LEVEL
}  // namespace nq
