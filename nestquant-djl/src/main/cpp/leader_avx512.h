#pragma once

#include "lanes.h"

/**
 * Coset leaders of a tile's blocks with AVX-512, see leader.h: 22 instructions for 128 weights of
 * 16·D8* and 40 of 16·E8, besides loads, from the word to the sum of products.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Where the bits of a word are; `low` holds coordinates 0 to 3, `high` 4 to 7. */
struct Block {
    Lanes low;
    Lanes high;

    /** Bit 0 is the index bit of dual codes; other bits are anything. */
    Lanes spare;

    /** Of E8's what the parities of the eight lowest bits and of the negative ones amount to. */
    Lanes weights;
};

NQ_INLINE __m512i allBytes(int value) {
    return _mm512_set1_epi32(bytes(value));
}

/** v turned left by BITS of 32. */
template <int BITS>
NQ_INLINE __m512i turned(Lanes v) {
    return _mm512_rol_epi32((__m512i)v, BITS);
}

/** Bits of a where `mask` has ones, of b elsewhere; the result replaces b, not the constant. */
NQ_INLINE __m512i chosen(__m512i mask, __m512i a, __m512i b) {
    return _mm512_ternarylogic_epi32(b, a, mask, 0xD8);
}

/** (v & mask) | p, which replaces p. */
NQ_INLINE __m512i masked(__m512i v, std::int32_t mask, __m512i p) {
    return _mm512_ternarylogic_epi32(p, v, _mm512_set1_epi32(mask), 0xF8);
}

/** The lanes that have bit `bit`. */
NQ_INLINE __mmask16 withBit(Lanes v, int bit) {
    return _mm512_test_epi32_mask((__m512i)v, _mm512_set1_epi32(1 << bit));
}

/** high with its bit `bit`, the lowest of a_7, flipped where `flips` has it. */
NQ_INLINE Lanes restored(__m512i high, __m512i flips, int bit) {
    return (Lanes)_mm512_ternarylogic_epi32(high, flips, _mm512_set1_epi32(1 << bit), 0x78);
}

/** A matrix whose product with a byte has its parities under two masks in bits 0 and 3. */
constexpr long long parityMatrix(long long lowest, long long signs) {
    return static_cast<long long>(static_cast<unsigned long long>(lowest) << 56) | signs << 32;
}

/**
 * Weights of extremes by the parities of all coordinates' bits; that of the signs is without p, whose
 * place is a sign's. An odd parity of the lowest bits adds 8 times (2·64 - byte 2), and if a far one
 * has to move, 8 times (byte 0 - 248) are added, 64 standing in byte 1 and 0 in byte 3; bits 28 and 29
 * are the parity of the lowest bits.
 */
NQ_INLINE __m512i weightsOf(__m512i word, long long matrix, __mmask16 p) {
    const std::int32_t odd = 0x30F81000;  // bytes 0, 16, -8 and what restores a_7
    const std::int32_t moves = 0x0000E108;  // bytes 8, -31, 0
    const std::int32_t both = 0x30F8F108;
    const Lanes weights = {0, both, 0, both, 0, both, 0, both,
                           moves, odd, moves, odd, moves, odd, moves, odd};
    __m512i pairs = _mm512_gf2p8affine_epi64_epi8(word, _mm512_set1_epi64(matrix), 0);
    __m512i eight = _mm512_maskz_mov_epi32(p, allBytes(8));
    __m512i parities = _mm512_dpbusd_epi32(eight, pairs, allBytes(1));
    return _mm512_permutexvar_epi32(parities, (__m512i)weights);
}

/**
 * The parity of the bits under a mask, in the bit that `factor` moves each of them to: what it makes
 * of them below adds up to less. Other bits are anything.
 */
NQ_INLINE __m512i parityOf(__m512i v, std::int32_t mask, std::int32_t factor) {
    return _mm512_mullo_epi32(
        _mm512_and_si512(v, _mm512_set1_epi32(mask)), _mm512_set1_epi32(factor));
}

/** Words of a four-bit code. */
template <bool DUAL>
NQ_INLINE Block unpack4(Lanes word) {
    __mmask16 set = withBit(word, 11);
    __m512i p = _mm512_maskz_mov_epi32(set, allBytes(8));
    __m512i spare = turned<4>(word);
    __m512i low = masked(spare, (std::int32_t)0xF0F070F0, p);
    __m512i high = masked((__m512i)word, bytes(0xF0), p);
    __m512i odd = DUAL ? parityOf((__m512i)word, bytes(0x11), bytes(0x11))
                       : weightsOf((__m512i)word, parityMatrix(0x11, 0x88), set);
    return {(Lanes)low, restored(high, odd, 28), (Lanes)spare, (Lanes)odd};
}

/** The first three blocks of a three-bit code's group: block i is in int i. */
template <bool DUAL>
NQ_INLINE Block unpack3(Lanes word) {
    __mmask16 set = withBit(word, 10);
    __m512i p = _mm512_maskz_mov_epi32(set, allBytes(16));
    __m512i spare = turned<5>(word);
    __m512i low = masked(spare, (std::int32_t)0xE0E060E0, p);
    __m512i high = masked(turned<2>(word), bytes(0xE0), p);
    __m512i odd = DUAL ? parityOf((__m512i)word, bytes(0x09), 0x24242424)
                       : weightsOf((__m512i)word, parityMatrix(0x09, 0x24), set);
    return {(Lanes)low, restored(high, odd, 29), (Lanes)spare, (Lanes)odd};
}

/** The fourth block of the group, in the top bits of all three ints. */
template <bool DUAL>
NQ_INLINE Block unpackFourth(Lanes a, Lanes b, Lanes c) {
    __mmask16 set = withBit(c, 14);
    __m512i p = _mm512_maskz_mov_epi32(set, allBytes(16));
    __m512i low = chosen(allBytes(0x80), turned<1>(c), turned<31>(a));
    __m512i high = chosen(allBytes(0x80), (__m512i)c, turned<31>(b));
    // (low ^ high) & 0x20 in one instruction
    __m512i lowest = _mm512_ternarylogic_epi32(low, high, allBytes(0x20), 0x28);
    __m512i odd = DUAL ? _mm512_slli_epi32(_mm512_popcnt_epi32(lowest), 29)
                       : weightsOf(_mm512_xor_si512(low, high), parityMatrix(0x20, 0x80), set);
    high = masked(high, bytes(0xE0), p);
    return {(Lanes)masked(low, (std::int32_t)0xE0E060E0, p), restored(high, odd, 29),
            (Lanes)turned<2>(b), (Lanes)odd};
}

/** The ladder steps in both halves of every lane. */
NQ_INLINE Lanes twiceSteps(Lanes m) {
    return m | (m << 16);
}

/** What products with eight bytes start from: the offset's. */
template <typename L>
NQ_INLINE std::int32_t correction(const std::int8_t* x) {
    std::int32_t sum = 0;
    for (int j = 0; j < 8; j++) {
        sum += x[j];
    }
    return -L::OFFSET * sum;
}

/** The correction of every block. */
template <typename L>
NQ_INLINE void correct(const std::int8_t* x, int blocks, std::int32_t* corrections) {
    int b = 0;
    for (; b + 8 <= blocks; b += 8) {
        __m512i shifted = _mm512_xor_si512((__m512i)load(x + 8 * b), _mm512_set1_epi8(-128));
        __m512i sums = _mm512_sad_epu8(shifted, _mm512_setzero_si512());
        __m512i products = _mm512_mullo_epi32(
            _mm512_sub_epi32(_mm512_set1_epi32(8 * 128), sums), _mm512_set1_epi32(L::OFFSET));
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(corrections + b), _mm512_cvtepi64_epi32(products));
    }
    for (; b < blocks; b++) {
        corrections[b] = correction<L>(x + 8 * b);
    }
}

/** Adds a block's products with eight bytes, times the ladder steps m. */
template <typename L>
NQ_INLINE Lanes addBlock(Lanes sum, const Block& block, Lanes m, std::int32_t correction,
                         const std::int8_t* x) {
    __m512i dot = _mm512_set1_epi32(correction);
    dot = _mm512_dpbusd_epi32(dot, (__m512i)block.low, (__m512i)fourBytes(x));
    dot = _mm512_dpbusd_epi32(dot, (__m512i)block.high, (__m512i)fourBytes(x + 4));
    return L::addScaled(sum, m, (Lanes)dot);
}

/** Leaders of E8 modulo q·D8*: bytes become 128·y/q + 128. */
template <int Q>
struct Dual {
    static constexpr bool DUAL = true;
    static constexpr int OFFSET = 128;
    static constexpr int SHIFT = Q == 16 ? 3 : 4;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            leader(blocks[n]);
        }
    }

    static NQ_INLINE void leader(Block& block) {
        const __m512i top = allBytes(128);
        // distances of unsigned bytes from 128 are 128 - |8y|; both halves of a lane get their sum
        __m512i room = _mm512_add_epi32(_mm512_dbsad_epu8((__m512i)block.low, top, 0),
                                        _mm512_dbsad_epu8((__m512i)block.high, top, 0));
        __mmask16 near = _mm512_cmpge_epi32_mask(room, _mm512_set1_epi32(0x02000200));
        // moving by q/2 towards the other sign and adding 128 are the same flip
        block.low = (Lanes)_mm512_mask_xor_epi32((__m512i)block.low, near, (__m512i)block.low, top);
        block.high =
            (Lanes)_mm512_mask_xor_epi32((__m512i)block.high, near, (__m512i)block.high, top);
    }

    /** The ladder step of every lane. */
    static NQ_INLINE Lanes steps(std::int32_t betas, int, Lanes spare) {
        const Lanes turns = {1, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3};
        // only the low four bits of an index count: the table repeats itself instead of masking them
        const Lanes table = {3, 7, 4, 8, 5, 10, 6, 12, 3, 7, 4, 8, 5, 10, 6, 12};
        __m512i index = _mm512_rolv_epi32(_mm512_set1_epi32(betas), (__m512i)turns);
        index = chosen(_mm512_set1_epi32(1), (__m512i)spare, index);
        return (Lanes)_mm512_permutexvar_epi32(index, (__m512i)table);
    }

    static NQ_INLINE Lanes addScaled(Lanes sum, Lanes m, Lanes dot) {
        return sum + m * dot;
    }
};

/**
 * Leaders of E8 modulo q·E8: bytes become 32·y/q + 64. Far representatives move by q/2 towards the
 * other sign, and one coordinate by 2q where parities say so.
 */
template <int Q>
struct Gosset {
    static constexpr bool DUAL = false;
    static constexpr int OFFSET = 64;
    static constexpr int SHIFT = Q == 16 ? 1 : 2;

    /**
     * From maxima and minima of coordinates j and j + 4 with bit 2 set where j is the one: the
     * largest in byte 2 and 248 less the smallest in byte 0, with 7 - j of the first such coordinate
     * j in bits 0 to 2, which sizes leave free; bytes 1 and 3 are 64 and 0.
     */
    static NQ_INLINE __m512i extremes(__m512i max, __m512i min) {
        // maxima to the upper half, complements of minima to the lower one
        __m512i first = _mm512_xor_si512(
            _mm512_shldi_epi32(max, min, 16), _mm512_set1_epi32(0x0202FDFD));
        __m512i second = _mm512_ternarylogic_epi32(
            _mm512_set1_epi32((std::int32_t)0xFFFF0000), max, min, 0xC5);
        __m512i pairs = _mm512_xor_si512(
            _mm512_max_epu8(first, second), _mm512_set1_epi32(0x00010100));
        return _mm512_mask_max_epu8(_mm512_set1_epi32(0x00004000),
            0x5555555555555555, pairs, _mm512_srli_epi16(pairs, 8));
    }

    /** Stage by stage for all blocks: in turn, each would wait for its own results. */
    template <int N>
    static NQ_INLINE void leaders(Block* blocks) {
        __m512i low[N], high[N], ends[N], sum[N], key[N];
        __mmask16 near[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            low[n] = _mm512_abs_epi8((__m512i)blocks[n].low);
            high[n] = _mm512_abs_epi8((__m512i)blocks[n].high);
            sum[n] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low[n], allBytes(4));
            sum[n] = _mm512_dpbusd_epi32(sum[n], high[n], allBytes(4));
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            ends[n] = extremes(
                _mm512_max_epu8(_mm512_or_si512(low[n], allBytes(4)), high[n]),
                _mm512_min_epu8(low[n], _mm512_or_si512(high[n], allBytes(4))));
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            // far: sum - 512 + odd·(256 - 2·max) - moves·2·min > 0, all times 4. The left side is a
            // multiple of 32 before that; the indices in the extremes change it by 14 at most
            __m512i weight = (__m512i)blocks[n].weights;
            sum[n] = _mm512_dpbusd_epi32(sum[n], ends[n], weight);
            near[n] = _mm512_cmple_epi32_mask(sum[n], _mm512_set1_epi32(4 * (512 + 16)));
            // an index of the coordinate that moves, with bit 3 where one does
            key[n] = chosen(_mm512_set1_epi32(0x00070007), ends[n], weight);
            key[n] = _mm512_mask_srli_epi32(key[n], near[n], key[n], 16);
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            moveFar(blocks[n], near[n], key[n]);
        }
    }

    /** Bytes to a quarter plus 64, with what flips in far ones and in the coordinate that moves. */
    static NQ_INLINE void moveFar(Block& block, __mmask16 near, __m512i key) {
        const Lanes lowMoves = {
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 30, 1 << 22, 1 << 14, 1 << 6};
        const Lanes highMoves = {
            0, 0, 0, 0, 0, 0, 0, 0, 1 << 30, 1 << 22, 1 << 14, 1 << 6, 0, 0, 0, 0};
        // row i, from the top byte down, gives bit i: bits 2 to 7, and the sign again as bit 6
        const __m512i quarter = _mm512_set1_epi64(0x0408102040808000);
        __m512i flip = _mm512_mask_mov_epi32(allBytes(0x60), near, _mm512_setzero_si512());
        block.low = (Lanes)_mm512_ternarylogic_epi32(
            _mm512_gf2p8affine_epi64_epi8((__m512i)block.low, quarter, 0x40), flip,
            _mm512_permutexvar_epi32(key, (__m512i)lowMoves), 0x96);
        block.high = (Lanes)_mm512_ternarylogic_epi32(
            _mm512_gf2p8affine_epi64_epi8((__m512i)block.high, quarter, 0x40), flip,
            _mm512_permutexvar_epi32(key, (__m512i)highMoves), 0x96);
    }

    /** The ladder step of every lane. */
    static NQ_INLINE Lanes steps(std::int32_t betas, int, Lanes) {
        const Lanes shifts = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
        const Lanes table = {3, 4, 5, 7, 3, 4, 5, 7, 3, 4, 5, 7, 3, 4, 5, 7};
        __m512i index = _mm512_srlv_epi32(_mm512_set1_epi32(betas), (__m512i)shifts);
        return (Lanes)_mm512_permutexvar_epi32(index, (__m512i)table);
    }

    /** |dot| fits 16 bits: a leader's norm is at most that of the deepest hole, so Σ|2y| <= 182. */
    static NQ_INLINE Lanes addScaled(Lanes sum, Lanes m, Lanes dot) {
        return (Lanes)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)m, (__m512i)dot);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
