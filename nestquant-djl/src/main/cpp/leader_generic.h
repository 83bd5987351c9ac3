#pragma once

#include "lanes.h"

/** Coset leaders of a tile's blocks for levels without AVX-512, see leader.h. */
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

/** p, bit `bit` of every lane, to the bits of a byte mask. */
NQ_INLINE Lanes spread(Lanes v, int bit, std::int32_t mask) {
    return (v << (31 - bit) >> 31) & mask;
}

/** Words of a four-bit code. */
template <bool DUAL>
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
template <bool DUAL>
NQ_INLINE Block unpack3(Lanes word) {
    Lanes p = spread(word, 10, bytes(16));
    Lanes low = ((word << 5) & (std::int32_t)0xE0E060E0) | p;
    Lanes high = ((word << 2) & (std::int32_t)0xE0E0E0E0) | p;
    Lanes odd = parity(word & bytes(9));
    Lanes mixed = parity(word & 0x2D2D292D);
    return {low, high ^ ((odd << 29) & (1 << 29)), shiftRight(word, 25), odd, mixed};
}

/** The fourth block of the group, in the top bits of all three ints. */
template <bool DUAL>
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

/** The two index bits of every lane that are beside the words. */
NQ_INLINE Lanes indexBits(std::int32_t betas) {
    const Lanes shifts = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    return (Lanes)((ULanes)all(betas) >> (ULanes)shifts) & 3;
}

/**
 * Leaders of E8 modulo q·D8*: bytes become 8y + 128 (16y + 128 in three-bit codes), shrunk by
 * `SHRINK` bits.
 */
struct Dual {
    static constexpr bool DUAL = true;
    static constexpr int SCALE_BITS = 3;
    static constexpr int SHRINK = 3;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            leader(blocks[n]);
        }
    }

    static NQ_INLINE void leader(Block& block) {
        Lanes sum = sumBytes(absBytes(block.low)) + sumBytes(absBytes(block.high));
        Lanes near = (Lanes)(sum <= 512) & bytes(0x80);
        block.low = shiftRight(block.low ^ near, 3) & bytes(0x1F);
        block.high = shiftRight(block.high ^ near, 3) & bytes(0x1F);
    }

    /** The ladder step of every lane. */
    static NQ_INLINE Lanes steps(std::int32_t betas, Lanes spare) {
        Lanes low = indexBits(betas);
        Lanes high = shiftRight(spare, 2) & 1;
        Lanes top = high & shiftRight(low, 1);
        return 3 + low + 4 * high + top + (top & low);
    }

    static NQ_INLINE Lanes addScaled(Lanes sum, Lanes m, Lanes dot) {
        return sum + m * dot;
    }
};

/**
 * Leaders of E8 modulo q·E8: bytes become 4y + 128 (8y + 128), shrunk by `SHRINK` bits. Far
 * representatives move by q/2 towards the other sign, and one coordinate by 2q where parities say so.
 */
struct Gosset {
    static constexpr bool DUAL = false;
    static constexpr int SCALE_BITS = 2;
    static constexpr int SHRINK = 2;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            leader(blocks[n]);
        }
    }

    static NQ_INLINE void leader(Block& block) {
        Lanes low = absBytes(block.low);
        Lanes high = absBytes(block.high);
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
    }

    /** The ladder step of every lane. */
    static NQ_INLINE Lanes steps(std::int32_t betas, Lanes) {
        Lanes low = indexBits(betas);
        return 3 + low + (low & shiftRight(low, 1));
    }

    static NQ_INLINE Lanes addScaled(Lanes sum, Lanes m, Lanes dot) {
        return sum + m * dot;
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
