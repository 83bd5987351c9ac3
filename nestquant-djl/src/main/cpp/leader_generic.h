#pragma once

#include "lanes.h"

/** Coset leaders for levels without AVX-512, in parts of a tile, see leader.h. */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Where the bits of a word are, before leaders are found and after that. */
struct Block {
    /** Coordinates 0 to 3 and 4 to 7, bytes y + q; then y + Leader::offset(q). */
    Part low;
    Part high;

    /** Bit 2 is the index bit of dual codes; other bits are anything. */
    Part spare;

    /** Bit 31 is the parity of the eight lowest bits; other bits are anything. */
    Part odd;

    /** Bit 31 is that parity plus the parity of the negative coordinates; the rest is anything. */
    Part mixed;
};

/** Bit `bit` of every lane to the bits of a byte mask. */
NQ_INLINE Part spread(Part v, int bit, std::int32_t mask) {
    return (v << (31 - bit) >> 31) & mask;
}

/** All bits of the lanes with bit 31. */
NQ_INLINE Part signsOf(Part v) {
    return v >> 31;
}

/** a · b of lanes. */
NQ_INLINE Part times(Part a, std::int32_t b) {
    return (Part)((UPart)a * static_cast<std::uint32_t>(b));
}

/** |v| of every byte. */
NQ_INLINE Part absBytes(Part v) {
#if defined(__AVX2__)
    return (Part)_mm256_abs_epi8((__m256i)v);
#else
    Bytes b = (Bytes)v;
    Bytes sign = b >> 7;
    return (Part)((b ^ sign) - sign);
#endif
}

/** The larger of unsigned bytes. */
NQ_INLINE Part maxBytes(Part a, Part b) {
#if defined(__AVX2__)
    return (Part)_mm256_max_epu8((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (Part)_mm_max_epu8((__m128i)a, (__m128i)b);
#else
    return (Part)((UBytes)a > (UBytes)b ? (UBytes)a : (UBytes)b);
#endif
}

/** Products of unsigned with signed bytes, neighbours added; each within 16 bits. */
NQ_INLINE Shorts pairProducts(Part unsignedBytes, Part signedBytes) {
#if defined(__AVX2__)
    return (Shorts)_mm256_maddubs_epi16((__m256i)unsignedBytes, (__m256i)signedBytes);
#else
    Shorts even = (Shorts)(unsignedBytes & 0x00FF00FF) * ((Shorts)(signedBytes << 8) >> 8);
    Shorts odd = (Shorts)(shiftRight(unsignedBytes, 8) & 0x00FF00FF) * ((Shorts)signedBytes >> 8);
    return even + odd;
#endif
}

/** Products of 16-bit integers, both of a lane added. */
NQ_INLINE Part productSums(Part a, Part b) {
#if defined(__AVX2__)
    return (Part)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (Part)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/** The lower half of every lane of a, the upper one of b. */
NQ_INLINE Part halves(Part a, Part b) {
#if defined(__AVX2__)
    return (Part)_mm256_blend_epi16((__m256i)a, (__m256i)b, 0xAA);
#else
    return (a & 0xFFFF) | (b & (std::int32_t)0xFFFF0000);
#endif
}

/** Σ of the four bytes of every lane, unsigned. */
NQ_INLINE Part sumBytes(Part v) {
#if defined(__AVX2__)
    return productSums((Part)pairProducts(v, all<Part>(bytes(1))), all<Part>(0x00010001));
#else
    Part pairs = (v & 0x00FF00FF) + (shiftRight(v, 8) & 0x00FF00FF);
    return (pairs + (pairs << 16)) >> 16;
#endif
}

/** The lowest byte of every lane, in all of it. */
NQ_INLINE Part lowestByte(Part v) {
#if defined(__AVX2__)
    const __m256i from = _mm256_set_epi32(0x0C0C0C0C, 0x08080808, 0x04040404, 0,
                                          0x0C0C0C0C, 0x08080808, 0x04040404, 0);
    return (Part)_mm256_shuffle_epi8((__m256i)v, from);
#else
    v &= 255;
    v |= v << 8;
    return v | v << 16;
#endif
}

/** Words of a four-bit code: coordinates y = 2a + p with a in the nibbles. */
template <bool DUAL>
NQ_INLINE Block unpack4(Part word) {
    Part p = spread(word, 11, bytes(1)) | bytes(16);
    Part lowest = word & 0x11111111;
    Block block;
    // the top bit of the product is the sum of all nibbles'
    block.odd = times(lowest, (std::int32_t)0x88888888);
    // bit 28 is the lowest of a_7, stored flipped, or free and given by the others
    Part right = word ^ (shiftRight(block.odd, 3) & (1 << 28));
    block.low = ((word << 1) & 0x1E1E0E1E) ^ p;
    block.high = (shiftRight(right, 3) & bytes(0x1E)) ^ p;
    block.spare = shiftRight(word, 26);
    if (!DUAL) {
        Part signs = shiftRight(word, 3) & 0x11111011;
        block.mixed = times(lowest ^ signs, (std::int32_t)0x88888888);
    }
    return block;
}

/** The first three blocks of a three-bit code's group: block i is in int i, two fields a byte. */
template <bool DUAL>
NQ_INLINE Block unpack3(Part word) {
    Part p = spread(word, 10, bytes(1)) | bytes(8);
    Part bits = word & 0x2D2D292D;
    bits ^= shiftRight(bits, 3);
    Block block;
    block.odd = times(bits & bytes(1), bytes(0x80));
    Part right = word ^ (shiftRight(block.odd, 4) & (1 << 27));
    block.low = ((word << 1) & 0x0E0E060E) ^ p;
    block.high = (shiftRight(right, 2) & bytes(0x0E)) ^ p;
    block.spare = shiftRight(word, 25);
    if (!DUAL) {
        bits ^= shiftRight(bits, 2);
        block.mixed = times(bits & bytes(1), bytes(0x80));
    }
    return block;
}

/** The fourth block of the group, in the top bits of all three ints. */
template <bool DUAL>
NQ_INLINE Block unpackFourth(Part a, Part b, Part c) {
    return unpack3<DUAL>((shiftRight(a, 6) & bytes(3)) | (shiftRight(b, 3) & bytes(0x18)) |
                         (shiftRight(c, 4) & bytes(4)) | (shiftRight(c, 2) & bytes(0x20)));
}

/** The index bits beside the words of the lanes from `first` on, in bits 0 and 1; others are anything. */
NQ_INLINE Part indexBits(std::int32_t betas, int first) {
    const Lanes lanes = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    Part shifts;
    std::memcpy(&shifts, &lanes, sizeof shifts);
    return (Part)((UPart)all<Part>(betas) >> (UPart)(shifts + 2 * first));
}

/** v in both halves of a lane. */
NQ_INLINE Part twice(Part v) {
    return v | v << 16;
}

/** The ladder steps in both halves of every lane. */
NQ_INLINE Part twiceSteps(Part m) {
    return m;
}

/** What products with eight bytes start from: the offset's, in halves as pairProducts adds them. */
template <typename L>
NQ_INLINE std::int32_t correction(const std::int8_t* x) {
    int first = x[0] + x[1] + x[4] + x[5];
    int second = x[2] + x[3] + x[6] + x[7];
    return static_cast<std::int32_t>(
        (static_cast<std::uint32_t>(-L::OFFSET * first) & 0xFFFF) |
        static_cast<std::uint32_t>(-L::OFFSET * second) << 16);
}

/** The correction of every block. */
template <typename L>
NQ_INLINE void correct(const std::int8_t* x, int blocks, std::int32_t* corrections) {
    for (int b = 0; b < blocks; b++) {
        corrections[b] = correction<L>(x + 8 * b);
    }
}

/** Adds a block's products with eight bytes, times the ladder steps m. */
template <typename L>
NQ_INLINE Part addBlock(Part sum, const Block& block, Part m, std::int32_t correction,
                        const std::int8_t* x) {
    Shorts pairs = (Shorts)all<Part>(correction) + pairProducts(block.low, fourBytes<Part>(x)) +
                   pairProducts(block.high, fourBytes<Part>(x + 4));
    return sum + productSums((Part)pairs, m);
}

/** Distances of bytes from q. */
template <int Q>
NQ_INLINE Part sizes(Part v) {
    return absBytes((Part)((Bytes)v - (Bytes)all<Part>(bytes(Q))));
}

/** Leaders of E8 modulo q·D8*. */
template <int Q>
struct Dual {
    static constexpr bool DUAL = true;
    static constexpr int OFFSET = Q;
    static constexpr int SHIFT = 0;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            Part sum = sumBytes(sizes<Q>(blocks[n].low) + sizes<Q>(blocks[n].high));
            // moving by q towards the other sign is a flip
            Part far = (Part)(sum > 4 * Q) & bytes(Q);
            blocks[n].low ^= far;
            blocks[n].high ^= far;
        }
    }

    /** The ladder steps of lanes from `first` on, in both halves. */
    static NQ_INLINE Part steps(std::int32_t betas, int first, Part spare) {
        Part low = indexBits(betas, first) & 3;
#if defined(__AVX2__)
        const __m256i table = _mm256_setr_epi32(0x30003, 0x40004, 0x50005, 0x60006, 0x70007,
                                                0x80008, 0xA000A, 0xC000C);
        return (Part)_mm256_permutevar8x32_epi32(table, (__m256i)(low | (spare & 4)));
#else
        Part high = shiftRight(spare, 2) & 1;
        Part top = high & shiftRight(low, 1);
        return twice(3 + low + 4 * high + top + (top & low));
#endif
    }
};

/**
 * Leaders of E8 modulo q·E8. Far representatives move by q towards the other sign, and one coordinate
 * by 2q where parities say so.
 */
template <int Q>
struct Gosset {
    static constexpr bool DUAL = false;
    static constexpr int OFFSET = 2 * Q;
    static constexpr int SHIFT = 0;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            leader(blocks[n]);
        }
    }

    static NQ_INLINE void leader(Block& block) {
        Part low = sizes<Q>(block.low);
        Part high = sizes<Q>(block.high);
        Part sum = sumBytes(low + high);
        // beside the sizes 7 less the coordinates' indices, so that the first of equal ones wins
        low = low << 3 | 0x04050607;
        high = high << 3 | 0x00010203;
        // the largest to bits 0 to 7; the smallest with its size flipped to bits 16 to 23
        Part large = maxBytes(low, high);
        Part small = maxBytes(low ^ bytes(0xF8), high ^ bytes(0xF8));
        Part ends = maxBytes(halves(large, small << 16), halves(shiftRight(large, 16), small));
        ends = maxBytes(ends, shiftRight(ends, 8));
        Part odd = signsOf(block.odd);
        Part mixed = signsOf(block.mixed);
        // sum - 4q + odd·(2q - 2·max) - mixed·2·min > 0, all times 8
        Shorts moved = (Shorts)(ends & 0x00F800F8) - (Shorts)all<Part>(248 << 16 | 8 * Q);
        sum = 8 * sum + productSums((Part)moved, (odd & 0xFFFE) | (mixed & 0x00020000));
        Part far = (Part)(sum > 32 * Q);
        Part key = lowestByte(far ? shiftRight(ends, 16) ^ 0xF8 : ends);
        Part moves = (far ? mixed : odd) & bytes(2 * Q);
        far &= bytes(3 * Q);
        block.low = (block.low + bytes(Q)) ^ far ^ ((Part)((Bytes)low == (Bytes)key) & moves);
        block.high = (block.high + bytes(Q)) ^ far ^ ((Part)((Bytes)high == (Bytes)key) & moves);
    }

    /** The ladder steps of lanes from `first` on, in both halves. */
    static NQ_INLINE Part steps(std::int32_t betas, int first, Part) {
        Part index = indexBits(betas, first);
#if defined(__AVX2__)
        const __m256i table = _mm256_setr_epi32(0x30003, 0x40004, 0x50005, 0x70007, 0x30003,
                                                0x40004, 0x50005, 0x70007);
        return (Part)_mm256_permutevar8x32_epi32(table, (__m256i)index);
#else
        index &= 3;
        return twice(3 + index + (index & shiftRight(index, 1)));
#endif
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
