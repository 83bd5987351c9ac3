#pragma once

#include "lanes.h"

/**
 * Coset leaders of a tile's blocks, one row in each lane; the twin of codec.PackedCode.
 *
 * A byte first holds 8y (four-bit codes) or 16y (three-bit codes), y a doubled coordinate of the
 * representative: in this form all comparisons are the same for both. Leaders are unsigned bytes
 * beyond an offset, shrunk by SHRINK bits from 8y + 128 (D8*) or 4y + 128 (E8), twice that in
 * three-bit codes.
 */
#if NQ_VNNI
#include "leader_avx512.h"
#else
#include "leader_generic.h"
#endif

namespace nq {
namespace NQ_LEVEL {
namespace {

/** A four-bit code with its leader rule. */
template <typename L>
struct FourBits {
    using Leader = L;
    static constexpr int GROUP = 1;
    static constexpr int INTS = 1;
    static constexpr int SHIFT = L::SCALE_BITS - L::SHRINK;

    /** A group's blocks, from INTS times 16 ints. */
    static NQ_INLINE void unpack(const std::int32_t* words, Block* blocks) {
        blocks[0] = unpack4<L::DUAL>(load(words));
    }
};

/** A three-bit code with its leader rule. */
template <typename L>
struct ThreeBits {
    using Leader = L;
    static constexpr int GROUP = 4;
    static constexpr int INTS = 3;
    static constexpr int SHIFT = L::SCALE_BITS + 1 - L::SHRINK;

    static NQ_INLINE void unpack(const std::int32_t* words, Block* blocks) {
        Lanes a = load(words);
        Lanes b = load(words + ROWS);
        Lanes c = load(words + 2 * ROWS);
        blocks[0] = unpack3<L::DUAL>(a);
        blocks[1] = unpack3<L::DUAL>(b);
        blocks[2] = unpack3<L::DUAL>(c);
        blocks[3] = unpackFourth<L::DUAL>(a, b, c);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
