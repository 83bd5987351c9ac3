#pragma once

#include "lanes.h"

/**
 * Coset leaders of a tile's blocks, one row in each lane; the twin of codec.PackedCode.
 *
 * A byte first holds 8y (four-bit codes) or 16y (three-bit codes), y a doubled coordinate of the
 * representative: in this form all comparisons are the same for both.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Where the bits of a word are; `low` holds coordinates 0 to 3, `high` 4 to 7. */
struct Block {
    Lanes low;
    Lanes high;

    /** Bit 2 is the index bit of dual codes; other bits are anything. */
    Lanes spare;

    /** Bit 0 is the parity of the eight lowest bits; other bits are anything. */
    Lanes odd;

    /** Bit 0 is that parity plus the parity of the negative coordinates; the rest is anything. */
    Lanes mixed;
};

constexpr std::int32_t bytes(int value) {
    return static_cast<std::int32_t>(0x01010101u * static_cast<unsigned>(value));
}

/** p, bit `bit` of every lane, to the bits of a byte mask. */
NQ_INLINE Lanes spread(Lanes v, int bit, std::int32_t mask) {
#if NQ_VNNI
    __mmask16 set = _mm512_test_epi32_mask((__m512i)v, _mm512_set1_epi32(1 << bit));
    return (Lanes)_mm512_maskz_mov_epi32(set, _mm512_set1_epi32(mask));
#else
    return (v << (31 - bit) >> 31) & mask;
#endif
}

/** Words of a four-bit code. */
NQ_INLINE Block unpack4(Lanes word) {
    Lanes p = spread(word, 11, bytes(8));
    Lanes low = ((word << 4) & (std::int32_t)0xF0F070F0) | p;
    Lanes high = (word & (std::int32_t)0xF0F0F0F0) | p;
    Lanes odd = parity(word & 0x11111111);
    // bit 28 is the lowest of a_7, stored flipped, or free and given by the others
    Lanes mixed = parity(word & (std::int32_t)0x99999199);
    return {low, high ^ ((odd << 28) & (1 << 28)), shiftRight(word, 26), odd, mixed};
}

/** The first three blocks of a three-bit code's group: block i is in int i. */
NQ_INLINE Block unpack3(Lanes word) {
    Lanes p = spread(word, 10, bytes(16));
    Lanes low = ((word << 5) & (std::int32_t)0xE0E060E0) | p;
    Lanes high = ((word << 2) & (std::int32_t)0xE0E0E0E0) | p;
    Lanes odd = parity(word & bytes(9));
    Lanes mixed = parity(word & 0x2D2D292D);
    return {low, high ^ ((odd << 29) & (1 << 29)), shiftRight(word, 25), odd, mixed};
}

/** The fourth block of the group, in the top bits of all three ints. */
NQ_INLINE Block unpackFourth(Lanes a, Lanes b, Lanes c) {
    Lanes low = (shiftRight(a, 1) & bytes(0x60)) | ((c << 1) & bytes(0x80));
    Lanes high = (shiftRight(b, 1) & bytes(0x60)) | (c & bytes(0x80));
    Lanes p = spread(low, 15, bytes(16));
    Lanes odd = parity((shiftRight(low, 1) & bytes(0x10)) | (high & bytes(0x20)));
    Lanes spare = shiftRight(high, 27);
    Lanes mixed = parity((shiftRight(low, 1) & 0x50501050) | (high & bytes(0xA0)));
    low = (low & (std::int32_t)0xE0E060E0) | p;
    high = (high ^ ((odd << 29) & (1 << 29))) | p;
    return {low, high, spare, odd, mixed};
}

/**
 * Leaders of E8 modulo q·D8*: bytes become 8y + 128 (16y + 128 in three-bit codes), shrunk by
 * `SHRINK` bits.
 */
struct Dual {
    static constexpr int SIZE = 8;
    static constexpr int SCALE_BITS = 3;
    static constexpr int SHRINK = NQ_VNNI ? 0 : 3;

    static NQ_INLINE void leader(Block& block) {
        Lanes sum = sumBytes(absBytes(block.low)) + sumBytes(absBytes(block.high));
#if NQ_VNNI
        // moving by q/2 towards the other sign and adding 128 are the same flip
        __mmask16 near = _mm512_cmple_epi32_mask((__m512i)sum, _mm512_set1_epi32(512));
        __m512i top = _mm512_set1_epi8(-128);
        block.low = (Lanes)_mm512_mask_xor_epi32(
            (__m512i)block.low, near, (__m512i)block.low, top);
        block.high = (Lanes)_mm512_mask_xor_epi32(
            (__m512i)block.high, near, (__m512i)block.high, top);
#else
        Lanes near = (Lanes)(sum <= 512) & bytes(0x80);
        block.low = shiftRight(block.low ^ near, 3) & bytes(0x1F);
        block.high = shiftRight(block.high ^ near, 3) & bytes(0x1F);
#endif
    }
};

/**
 * Leaders of E8 modulo q·E8: bytes become 4y + 128 (8y + 128), shrunk by `SHRINK` bits. Far
 * representatives move by q/2 towards the other sign, and one coordinate by 2q where parities say so.
 */
struct Gosset {
    static constexpr int SIZE = 4;
    static constexpr int SCALE_BITS = 2;
    static constexpr int SHRINK = NQ_VNNI ? 0 : 2;

    static NQ_INLINE void leader(Block& block) {
        Lanes low = absBytes(block.low);
        Lanes high = absBytes(block.high);
#if NQ_VNNI
        // sizes are multiples of 8: the index in their low bits makes the first of equals win
        const __m512i top = _mm512_set1_epi8(-128);
        __m512i lowMax = _mm512_or_si512((__m512i)low, _mm512_set1_epi32(0x04050607));
        __m512i highMax = _mm512_or_si512((__m512i)high, _mm512_set1_epi32(0x00010203));
        __m512i lowMin = _mm512_or_si512((__m512i)low, _mm512_set1_epi32(0x03020100));
        __m512i highMin = _mm512_or_si512((__m512i)high, _mm512_set1_epi32(0x07060504));
        __m512i max = _mm512_max_epu8(lowMax, highMax);
        max = _mm512_max_epu8(max, _mm512_ror_epi32(max, 16));
        max = _mm512_max_epu8(max, _mm512_ror_epi32(max, 8));
        __m512i min = _mm512_min_epu8(lowMin, highMin);
        min = _mm512_min_epu8(min, _mm512_ror_epi32(min, 16));
        min = _mm512_min_epu8(min, _mm512_ror_epi32(min, 8));
        const __m512i ones = _mm512_set1_epi8(1);
        __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), (__m512i)low, ones);
        sum = _mm512_dpbusd_epi32(sum, (__m512i)high, ones);
        const __m512i one = _mm512_set1_epi32(1);
        __mmask16 odd = _mm512_test_epi32_mask((__m512i)block.odd, one);
        __mmask16 mixed = _mm512_test_epi32_mask((__m512i)block.mixed, one);
        // far: sum > 512 - odd·(256 - 2·max) + mixed·2·min
        const __m512i sizeBits = _mm512_set1_epi32(0xF8);
        __m512i limit = _mm512_mask_add_epi32(
            _mm512_set1_epi32(256), odd, _mm512_and_si512(max, sizeBits), _mm512_set1_epi32(128));
        limit = _mm512_mask_add_epi32(limit, mixed, limit, _mm512_and_si512(min, sizeBits));
        __mmask16 far = _mm512_cmpgt_epi32_mask(sum, _mm512_add_epi32(limit, limit));
        __mmask16 moves = static_cast<__mmask16>((far & mixed) | (~far & odd));
        // no coordinate has the key 255
        __m512i key = _mm512_mask_mov_epi32(max, far, min);
        key = _mm512_mask_mov_epi32(_mm512_set1_epi32(-1), moves, key);
        __m512i lowKeys = _mm512_mask_mov_epi32(lowMax, far, lowMin);
        __m512i highKeys = _mm512_mask_mov_epi32(highMax, far, highMin);
        // 4y + 128 is the mean of 8y + 128 and 128
        __m512i u = _mm512_avg_epu8(_mm512_xor_si512((__m512i)block.low, top), top);
        __m512i v = _mm512_avg_epu8(_mm512_xor_si512((__m512i)block.high, top), top);
        const __m512i flip = _mm512_set1_epi8(-64);
        u = _mm512_mask_xor_epi32(u, far, u, flip);
        v = _mm512_mask_xor_epi32(v, far, v, flip);
        u = _mm512_mask_add_epi8(u, _mm512_cmpeq_epi8_mask(lowKeys, key), u, top);
        v = _mm512_mask_add_epi8(v, _mm512_cmpeq_epi8_mask(highKeys, key), v, top);
        block.low = (Lanes)u;
        block.high = (Lanes)v;
#else
        Lanes sum = sumBytes(low) + sumBytes(high);
        // the maximum to bits 0 to 7, 255 - minimum to bits 16 to 23
        Lanes folded = maxBytes(low, high);
        Lanes small = maxBytes(~low, ~high);
        folded = maxBytes((folded & 0xFFFF) | (small << 16),
                          shiftRight(folded, 16) | (small & (std::int32_t)0xFFFF0000));
        folded = maxBytes(folded, shiftRight(folded, 8));
        Lanes odd = -(block.odd & 1);
        Lanes mixed = -(block.mixed & 1);
        Lanes max = folded & 255;
        Lanes min = 255 - (shiftRight(folded, 16) & 255);
        Lanes far = (Lanes)(sum - 512 + (odd & (256 - 2 * max)) - (mixed & (2 * min)) > 0);
        // of far ones, q/2 minus their size, the smallest is the largest
        Lanes moves = (far & mixed) | (~far & odd);
        Lanes size = (far & min) | (~far & max);
        size |= size << 8;
        size |= size << 16;
        Lanes first = (Lanes)((Bytes)low == (Bytes)size) & bytes(0x80) & moves;
        Lanes second = (Lanes)((Bytes)high == (Bytes)size) & bytes(0x80) & moves;
        second &= (Lanes)(first == 0);
        Lanes flip = far & bytes(0xC0);
        block.low = ((shiftRight(block.low, 1) & bytes(0x7F)) ^ bytes(0x40)) + bytes(0x40);
        block.high = ((shiftRight(block.high, 1) & bytes(0x7F)) ^ bytes(0x40)) + bytes(0x40);
        block.low ^= flip ^ (first & -first);
        block.high ^= flip ^ (second & -second);
        block.low = shiftRight(block.low, SHRINK) & bytes(255 >> SHRINK);
        block.high = shiftRight(block.high, SHRINK) & bytes(255 >> SHRINK);
#endif
    }
};

/** The ladder step of every lane. */
template <typename Leader>
NQ_INLINE Lanes steps(std::int32_t betas, Lanes spare) {
    const Lanes shifts = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
#if NQ_VNNI
    __m512i index = _mm512_srlv_epi32(_mm512_set1_epi32(betas), (__m512i)shifts);
    // only the low four bits of an index count: the table repeats itself instead of masking them
    if (Leader::SIZE == 8) {
        index = _mm512_ternarylogic_epi32(_mm512_set1_epi32(3), index, (__m512i)spare, 0xCA);
        const Lanes table = {3, 4, 5, 6, 7, 8, 10, 12, 3, 4, 5, 6, 7, 8, 10, 12};
        return (Lanes)_mm512_permutexvar_epi32(index, (__m512i)table);
    }
    const Lanes table = {3, 4, 5, 7, 3, 4, 5, 7, 3, 4, 5, 7, 3, 4, 5, 7};
    return (Lanes)_mm512_permutexvar_epi32(index, (__m512i)table);
#else
    Lanes low = (Lanes)((ULanes)all(betas) >> (ULanes)shifts) & 3;
    if (Leader::SIZE == 8) {
        Lanes high = shiftRight(spare, 2) & 1;
        Lanes top = high & shiftRight(low, 1);
        return 3 + low + 4 * high + top + (top & low);
    }
    return 3 + low + (low & shiftRight(low, 1));
#endif
}

/** A four-bit code with its leader rule. */
template <typename L>
struct FourBits {
    using Leader = L;
    static constexpr int GROUP = 1;
    static constexpr int INTS = 1;
    static constexpr int SHIFT = L::SCALE_BITS - L::SHRINK;

    /** Leaders of a group's blocks, from INTS times 16 ints. */
    static NQ_INLINE void decode(const std::int32_t* words, Block* blocks) {
        blocks[0] = unpack4(load(words));
        L::leader(blocks[0]);
    }
};

/** A three-bit code with its leader rule. */
template <typename L>
struct ThreeBits {
    using Leader = L;
    static constexpr int GROUP = 4;
    static constexpr int INTS = 3;
    static constexpr int SHIFT = L::SCALE_BITS + 1 - L::SHRINK;

    static NQ_INLINE void decode(const std::int32_t* words, Block* blocks) {
        Lanes a = load(words);
        Lanes b = load(words + ROWS);
        Lanes c = load(words + 2 * ROWS);
        blocks[0] = unpack3(a);
        blocks[1] = unpack3(b);
        blocks[2] = unpack3(c);
        blocks[3] = unpackFourth(a, b, c);
        for (int i = 0; i < 4; i++) {
            L::leader(blocks[i]);
        }
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
