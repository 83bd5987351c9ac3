#pragma once

#include "lanes.h"

/**
 * Leaders of a tile's blocks, one row in each lane, from what codec.PackedMatrix holds: doubled
 * coordinates y as unsigned bytes, y + OFFSET. With all words and indices, sums of eight of their
 * products with bytes stay within 16 bits.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Coordinates 0 to 3 and 4 to 7 of one block of WIDTH rows. */
struct Block {
    Part low;
    Part high;
};

/** Distances of bytes from q. */
template <int Q>
NQ_INLINE Part sizes(Part v) {
    return absBytes((Part)((Bytes)v - (Bytes)all<Part>(bytes(Q))));
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq

#if NQ_VNNI
#include "leader_avx512.h"
#else
#include "leader_generic.h"
#endif

namespace nq {
namespace NQ_LEVEL {
namespace {

/** m·y of every byte modulo 256, from unsigned bytes of leaders. */
template <typename L>
NQ_INLINE Part integers(Part leaders, Part m) {
    constexpr std::int32_t ODD = static_cast<std::int32_t>(0xFF00FF00);
    UShorts steps = (UShorts)twiceSteps(m);
    Part y = (Part)((Bytes)leaders - (Bytes)all<Part>(bytes(L::OFFSET)));
    Part even = (Part)((UShorts)y * steps);
    Part odd = (Part)((UShorts)(y & ODD) * steps);
    return (even & ~ODD) | odd;
}

/** Integers of WIDTH rows of a block to int8 [2][16 rows][4 columns]. */
template <typename L>
NQ_INLINE void writeIntegers(const Block& block, Part index, std::int32_t* to) {
    Part m = L::steps(index);
    store(to, integers<L>(block.low, m));
    store(to + ROWS, integers<L>(block.high, m));
}

/** A four-bit code with its leader rule. */
template <template <int> class L>
struct FourBits {
    using Leader = L<16>;
    static constexpr int GROUP = 1;
    static constexpr int INTS = 1;

    /** WIDTH lanes of a group's blocks, from INTS times 16 ints. */
    static NQ_INLINE void unpack(const std::int32_t* words, Block* blocks) {
        blocks[0] = unpack4<Leader>(load<Part>(words));
    }
};

/** A three-bit code with its leader rule. */
template <template <int> class L>
struct ThreeBits {
    using Leader = L<8>;
    static constexpr int GROUP = 4;
    static constexpr int INTS = 3;

    static NQ_INLINE void unpack(const std::int32_t* words, Block* blocks) {
        Part a = load<Part>(words);
        Part b = load<Part>(words + ROWS);
        Part c = load<Part>(words + 2 * ROWS);
        blocks[0] = unpack3<Leader>(a);
        blocks[1] = unpack3<Leader>(b);
        blocks[2] = unpack3<Leader>(c);
        blocks[3] = unpackFourth<Leader>(a, b, c);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
