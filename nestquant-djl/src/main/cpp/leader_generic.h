#pragma once

/** Leaders of a tile's blocks for levels without AVX-512, in parts of a tile, see leader.h. */
namespace nq {
namespace NQ_LEVEL {
namespace {

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

/** v with a_7's lowest bit, bit BIT, from `parity`; p, which stood there, to all bytes beside q. */
template <int BIT>
NQ_INLINE Part restored(Part v, Part parity, std::int32_t q, Part& p) {
    p = spread(v, BIT, bytes(1)) | q;
    return (v & ~(1 << BIT)) | (parity & (1 << BIT));
}

/** Words of a four-bit code: coordinates y = 2a + p with a in the nibbles, as bytes y + q. */
template <typename L>
NQ_INLINE Block unpack4(Part word) {
    Part p;
    // the product's top nibble ends with the sum of the seven
    word = restored<28>(word, times(word & 0x01111111, 0x11111111), bytes(16), p);
    return {((word << 1) & bytes(0x1E)) ^ p, (shiftRight(word, 3) & bytes(0x1E)) ^ p};
}

/** The first three blocks of a three-bit code's group: block i is in int i, two fields a byte. */
template <typename L>
NQ_INLINE Block unpack3(Part word) {
    Part p;
    word = restored<27>(word, times(word & 0x01090909, 0x09090909), bytes(8), p);
    return {((word << 1) & bytes(0x0E)) ^ p, (shiftRight(word, 2) & bytes(0x0E)) ^ p};
}

/** The fourth block of the group, in the top bits of all three ints. */
template <typename L>
NQ_INLINE Block unpackFourth(Part a, Part b, Part c) {
    return unpack3<L>((shiftRight(a, 6) & bytes(3)) | (shiftRight(b, 3) & bytes(0x18)) |
                      (shiftRight(c, 4) & bytes(4)) | (shiftRight(c, 2) & bytes(0x20)));
}

/** Three bits of the index stream for lanes from `first` on; those above are anything. */
template <typename L>
NQ_INLINE Part indexBits(const std::uint8_t* block, int first) {
    const Lanes lanes = {0, 3, 6, 9, 12, 15, 18, 21, 0, 3, 6, 9, 12, 15, 18, 21};
    Part shifts;
    std::memcpy(&shifts, reinterpret_cast<const std::int32_t*>(&lanes) + first, sizeof shifts);
    // eight rows have three bytes
    Part bits = fourBytes<Part>(block + 3 * (first / 8));
    return (Part)((UPart)bits >> (UPart)shifts);
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

/** Leaders of E8 modulo q·D8*: all that there is to do is unpacking. */
template <int Q>
struct Dual {
    static constexpr int RATIO = Q;
    static constexpr int INDEX = 0;
    static constexpr int OFFSET = Q;

    template <int N>
    static NQ_INLINE void leaders(Block*, const Part*) {}

    /** The ladder steps of lanes, in both halves. */
    static NQ_INLINE Part steps(Part index) {
#if defined(__AVX2__)
        const __m256i table = _mm256_setr_epi32(0x30003, 0x40004, 0x50005, 0x60006, 0x70007,
                                                0x80008, 0xA000A, 0xC000C);
        return (Part)_mm256_permutevar8x32_epi32(table, (__m256i)index);
#else
        // 3 + index up to 5; 6 and 7 exceed that by 1 and 2
        index &= 7;
        Part top = shiftRight(index, 2) & shiftRight(index, 1);
        return twice(3 + index + top + (top & index));
#endif
    }
};

/** Leaders of E8 modulo q·E8, unpacked as bytes y + q: where the index says so, one moves by 2q. */
template <int Q>
struct Gosset {
    static constexpr int RATIO = Q;
    static constexpr int INDEX = 0;
    static constexpr int OFFSET = 2 * Q;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks, const Part* index) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            leader(blocks[n], index[n]);
        }
    }

    static NQ_INLINE void leader(Block& block, Part index) {
        // beside the sizes 7 less the coordinates' numbers, so that the first of equal ones wins
        Part low = sizes<Q>(block.low) << 3 | 0x04050607;
        Part high = sizes<Q>(block.high) << 3 | 0x00010203;
        Part key = maxBytes(low, high);
        key = maxBytes(key, shiftRight(key, 16));
        key = lowestByte(maxBytes(key, shiftRight(key, 8)));
        Part moves = spread(index, 2, bytes(2 * Q));
        block.low = (block.low + bytes(Q)) ^ ((Part)((Bytes)low == (Bytes)key) & moves);
        block.high = (block.high + bytes(Q)) ^ ((Part)((Bytes)high == (Bytes)key) & moves);
    }

    /** The ladder steps of lanes, in both halves. */
    static NQ_INLINE Part steps(Part index) {
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
