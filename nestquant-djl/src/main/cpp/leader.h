#pragma once

#include "lanes.h"

/**
 * Coset leaders of a tile's blocks, one row in each lane; the twin of codec.PackedCode.
 *
 * Leaders are doubled coordinates y as unsigned bytes, y·2^SHIFT + OFFSET. With AVX-512 a byte first
 * holds 8y (four-bit codes) or 16y (three-bit codes), so that all comparisons are the same for both;
 * other levels keep y itself, so that sums of four products stay within 16 bits.
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
template <template <int> class L>
struct FourBits {
    using Leader = L<16>;
    static constexpr int GROUP = 1;
    static constexpr int INTS = 1;

    /** WIDTH lanes of a group's blocks, from INTS times 16 ints. */
    static NQ_INLINE void unpack(const std::int32_t* words, Block* blocks) {
        blocks[0] = unpack4<Leader::DUAL>(load<Part>(words));
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
        blocks[0] = unpack3<Leader::DUAL>(a);
        blocks[1] = unpack3<Leader::DUAL>(b);
        blocks[2] = unpack3<Leader::DUAL>(c);
        blocks[3] = unpackFourth<Leader::DUAL>(a, b, c);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
