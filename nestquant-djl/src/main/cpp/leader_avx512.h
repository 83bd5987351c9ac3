#pragma once

/**
 * Leaders of a tile's blocks with AVX-512, see leader.h: 12 instructions for 128 weights of 16·D8*
 * and 27 of 16·E8, besides loads, from the word to the sum of products.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

NQ_INLINE __m512i allBytes(int value) {
    return _mm512_set1_epi32(bytes(value));
}

/** v turned left by BITS of 32. */
template <int BITS>
NQ_INLINE __m512i turned(__m512i v) {
    return _mm512_rol_epi32(v, BITS);
}

/** Bits of a where `mask` has ones, of b elsewhere; the result replaces b, not the constant. */
NQ_INLINE __m512i chosen(__m512i mask, __m512i a, __m512i b) {
    return _mm512_ternarylogic_epi32(b, a, mask, 0xD8);
}

/** A matrix whose product with a byte has in bit `to` the parity of the bits under a mask. */
constexpr long long row(int to, long long mask) {
    return static_cast<long long>(static_cast<unsigned long long>(mask) << 8 * (7 - to));
}

/** A matrix that moves `count` bits of a byte, the first of which is bit `from`, to bit `to`. */
constexpr long long moved(int from, int count, int to) {
    return count == 0 ? 0 : row(to, 1LL << from) | moved(from + 1, count - 1, to + 1);
}

/** The product of every byte with a matrix, with the bits FLIPPED flipped. */
template <int FLIPPED>
NQ_INLINE __m512i transformed(__m512i v, long long matrix) {
    return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(matrix), FLIPPED);
}

/** v with bit FROM of every lane in the place of bit TO. */
template <int FROM, int TO>
NQ_INLINE __m512i shifted(__m512i v) {
    constexpr int LEFT = TO > FROM ? TO - FROM : 0;
    constexpr int RIGHT = FROM > TO ? FROM - TO : 0;
    return LEFT > 0 ? _mm512_slli_epi32(v, LEFT) : RIGHT > 0 ? _mm512_srli_epi32(v, RIGHT) : v;
}

/**
 * What is to flip in bytes with a field from bit `place` on, by the number that `unpack` makes of a
 * word's lowest bits: the sign, p below the field, and in a_7 what stands there for its lowest bit.
 * Bit 1 of the number is p, bit 0 is p plus a_3's lowest bit, and bit 2 the parity of the six that
 * are left.
 */
constexpr std::int32_t flips(int number, int place, int width) {
    int p = number >> 1 & 1;
    int wrong = (number ^ number >> 2) & 1;
    return bytes(p << (place - 1) | 1 << (place + width - 1)) ^ wrong << (place + 24);
}

/**
 * Bytes y·2^s + offset, their fields from bit L::PLACE = s + 1 on. A matrix makes the first four of
 * the word's bytes, whose fields begin with bits LOW and HIGH; `high` has the others in place
 * beside bits of any kind.
 */
template <typename L, int LOW, int HIGH>
NQ_INLINE Block unpack(__m512i word, long long lowField, __m512i high) {
    constexpr int P = L::PLACE;
    constexpr int W = L::RATIO == 16 ? 4 : 3;
    constexpr int FIELD = ((1 << W) - 1) << P;
    constexpr int BELOW = 1 << (P - 1) | 1 << (P + W - 1);
    const Lanes table = {
        flips(0, P, W), flips(1, P, W), flips(2, P, W), flips(3, P, W),
        flips(4, P, W), flips(5, P, W), flips(6, P, W), flips(7, P, W),
        flips(0, P, W), flips(1, P, W), flips(2, P, W), flips(3, P, W),
        flips(4, P, W), flips(5, P, W), flips(6, P, W), flips(7, P, W)};
    __m512i pairs = transformed<0>(word, row(0, 1 << LOW | 1 << HIGH) | row(1, 1 << HIGH));
    __m512i number =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), pairs, _mm512_set1_epi32(0x01040404));
    __m512i flip = _mm512_permutexvar_epi32(number, (__m512i)table);
    // a ^ (b & c)
    return {(Part)_mm512_ternarylogic_epi32(
                transformed<0>(word, lowField), flip, allBytes(BELOW), 0x78),
            (Part)_mm512_ternarylogic_epi32(flip, high, allBytes(FIELD), 0x78)};
}

/** Words of a four-bit code. */
template <typename L>
NQ_INLINE Block unpack4(Part v) {
    __m512i word = (__m512i)v;
    return unpack<L, 0, 4>(word, moved(0, 4, L::PLACE), shifted<4, L::PLACE>(word));
}

/** The first three blocks of a three-bit code's group: block i is in int i. */
template <typename L>
NQ_INLINE Block unpack3(Part v) {
    __m512i word = (__m512i)v;
    return unpack<L, 0, 3>(word, moved(0, 3, L::PLACE), shifted<3, L::PLACE>(word));
}

/** The fourth block of the group, in the top bits of all three ints. */
template <typename L>
NQ_INLINE Block unpackFourth(Part a, Part b, Part c) {
    __m512i word = chosen(allBytes(0xC0), (__m512i)a, turned<30>((__m512i)b));
    word = chosen(allBytes(0xF0), word, turned<28>((__m512i)c));
    return unpack<L, 6, 4>(
        word, moved(6, 2, L::PLACE) | moved(2, 1, L::PLACE + 2),
        transformed<0>(word, moved(4, 2, L::PLACE) | moved(3, 1, L::PLACE + 2)));
}

/** Three bits of the index stream for every lane, from bit L::INDEX on; others are anything. */
template <typename L>
NQ_INLINE Part indexBits(const std::uint8_t* block, int) {
    // where a byte of the eight that are loaded begins, which goes on with the first one
    constexpr int I = 64 - L::INDEX;
    const Lanes starts = {I % 64, (I + 3) % 64, (I + 6) % 64, (I + 9) % 64,
                          (I + 12) % 64, (I + 15) % 64, (I + 18) % 64, (I + 21) % 64,
                          (I + 24) % 64, (I + 27) % 64, (I + 30) % 64, (I + 33) % 64,
                          (I + 36) % 64, (I + 39) % 64, (I + 42) % 64, (I + 45) % 64};
    long long bits;
    std::memcpy(&bits, block, sizeof bits);
    return (Part)_mm512_multishift_epi64_epi8((__m512i)starts, _mm512_set1_epi64(bits));
}

/** The ladder steps in both halves of every lane. */
NQ_INLINE Part twiceSteps(Part m) {
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
NQ_INLINE Part addBlock(Part sum, const Block& block, Part m, std::int32_t correction,
                        const std::int8_t* x) {
    __m512i dot = _mm512_set1_epi32(correction);
    dot = _mm512_dpbusd_epi32(dot, (__m512i)block.low, (__m512i)fourBytes(x));
    dot = _mm512_dpbusd_epi32(dot, (__m512i)block.high, (__m512i)fourBytes(x + 4));
    // the upper half of m is zero, and dot fits the lower one
    return (Part)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)m, (__m512i)dot);
}

/** Leaders of E8 modulo q·D8*: all that there is to do is unpacking. */
template <int Q>
struct Dual {
    static constexpr int RATIO = Q;
    static constexpr int PLACE = 1;
    static constexpr int INDEX = 0;
    static constexpr int OFFSET = Q;

    template <int N>
    static NQ_INLINE void leaders(Block*, const Part*) {}

    /** The ladder step of every lane. */
    static NQ_INLINE Part steps(Part index) {
        const Lanes table = {3, 4, 5, 6, 7, 8, 10, 12, 3, 4, 5, 6, 7, 8, 10, 12};
        return (Part)_mm512_permutexvar_epi32((__m512i)index, (__m512i)table);
    }
};

/** Leaders of E8 modulo q·E8, unpacked as bytes 128·y/q + 128: one moves where the index says so. */
template <int Q>
struct Gosset {
    static constexpr int RATIO = Q;
    static constexpr int PLACE = Q == 16 ? 4 : 5;

    /** A table with a number of a coordinate below takes the bit above the ladder's. */
    static constexpr int INDEX = 1;
    static constexpr int OFFSET = 2 * Q;

    template <int N>
    static NQ_INLINE void leaders(Block* blocks, const Part* index) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            leader(blocks[n], index[n]);
        }
    }

    static NQ_INLINE void leader(Block& block, Part index) {
        constexpr int M = 2 * Q;
        const Lanes lowMoves = {0, 0, 0, 0, 0, 0, 0, 0, M, M << 8, M << 16, M << 24, 0, 0, 0, 0};
        const Lanes highMoves = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, M, M << 8, M << 16, M << 24};
        __m512i low = (__m512i)block.low;
        __m512i high = (__m512i)block.high;
        // distances of unsigned bytes from 0 and 256 are 128 - 128·|y|/q, with their low bits free:
        // there the coordinate's number, so that the smallest byte is that of the first largest |y|
        __m512i key = _mm512_min_epu8(
            _mm512_abs_epi8(low), _mm512_or_si512(_mm512_abs_epi8(high), allBytes(4)));
        key = _mm512_or_si512(key, _mm512_set1_epi32(0x03020100));
        key = _mm512_min_epu8(key, _mm512_srli_epi32(key, 16));
        key = _mm512_min_epu8(key, _mm512_srli_epi32(key, 8));
        key = chosen(_mm512_set1_epi32(7), key, (__m512i)index);
        // a byte's top bits become y + 2q: the sign, and beside it its complement
        constexpr int S = PLACE - 1;
        constexpr long long whole = moved(S, 7 - S, 0) | row(7 - S, 128) | row(8 - S, 128);
        block.low = (Part)_mm512_xor_si512(
            transformed<Q>(low, whole), _mm512_permutexvar_epi32(key, (__m512i)lowMoves));
        block.high = (Part)_mm512_xor_si512(
            transformed<Q>(high, whole), _mm512_permutexvar_epi32(key, (__m512i)highMoves));
    }

    /** The ladder step of every lane. */
    static NQ_INLINE Part steps(Part index) {
        const Lanes table = {3, 3, 4, 4, 5, 5, 7, 7, 3, 3, 4, 4, 5, 5, 7, 7};
        return (Part)_mm512_permutexvar_epi32((__m512i)index, (__m512i)table);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
