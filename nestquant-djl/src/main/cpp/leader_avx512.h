#pragma once

/**
 * Leaders of a tile's blocks with AVX-512, see leader.h: 12 instructions for 128 weights of 16·D8*
 * and 28 of 16·E8, besides loads, from the word to the sum of products.
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

/**
 * What the lowest bits of the fields of a word amount to, by the number that `unpack` makes of them:
 * its bit 1 is p, which stands for a_7's, bit 0 differs from p by a_3's, bit 2 is the parity of
 * the other six. Here p as the lowest bit of the eight bytes and, in a_7's place, a_7's bit for p.
 */
constexpr std::int32_t lowestBits(int number, int place) {
    int p = number >> 1 & 1;
    int wrong = (number ^ number >> 2) & 1;
    return bytes(p << (place - 1)) | wrong << (place + 24);
}

/**
 * Bytes y·2^s + offset of words whose bytes hold two fields: matrices move them to bit L::PLACE,
 * s + 1, and L::TOP flips the sign; `low` and `high` are the places of their lowest bits.
 */
template <typename L>
NQ_INLINE Block unpack(__m512i word, long long lowField, long long highField, int low, int high) {
    constexpr int S = L::PLACE;
    const Lanes table = {
        lowestBits(0, S), lowestBits(1, S), lowestBits(2, S), lowestBits(3, S),
        lowestBits(4, S), lowestBits(5, S), lowestBits(6, S), lowestBits(7, S),
        lowestBits(0, S), lowestBits(1, S), lowestBits(2, S), lowestBits(3, S),
        lowestBits(4, S), lowestBits(5, S), lowestBits(6, S), lowestBits(7, S)};
    __m512i pairs = transformed<0>(word, row(0, 1 << low | 1 << high) | row(1, 1 << high));
    __m512i number =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), pairs, _mm512_set1_epi32(0x01040404));
    __m512i lowest = _mm512_permutexvar_epi32(number, (__m512i)table);
    // a ^ (b & c)
    __m512i first = _mm512_ternarylogic_epi32(
        transformed<L::TOP>(word, lowField), lowest, allBytes(1 << (S - 1)), 0x78);
    return {(Part)first, (Part)_mm512_xor_si512(transformed<L::TOP>(word, highField), lowest)};
}

/** Words of a four-bit code. */
template <typename L>
NQ_INLINE Block unpack4(Part word) {
    return unpack<L>((__m512i)word, moved(0, 4, L::PLACE), moved(4, 4, L::PLACE), 0, 4);
}

/** The first three blocks of a three-bit code's group: block i is in int i. */
template <typename L>
NQ_INLINE Block unpack3(Part word) {
    return unpack<L>((__m512i)word, moved(0, 3, L::PLACE), moved(3, 3, L::PLACE), 0, 3);
}

/** The fourth block of the group, in the top bits of all three ints. */
template <typename L>
NQ_INLINE Block unpackFourth(Part a, Part b, Part c) {
    __m512i word = chosen(allBytes(0xC0), (__m512i)a, turned<30>((__m512i)b));
    word = chosen(allBytes(0xF0), word, turned<28>((__m512i)c));
    return unpack<L>(
        word, moved(6, 2, L::PLACE) | moved(2, 1, L::PLACE + 2),
        moved(4, 2, L::PLACE) | moved(3, 1, L::PLACE + 2), 6, 4);
}

/** Three bits of the index stream for every lane; those above are anything. */
NQ_INLINE Part indexBits(const std::uint8_t* block, int) {
    const Lanes shifts = {0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45};
    long long bits;
    std::memcpy(&bits, block, sizeof bits);
    return (Part)_mm512_multishift_epi64_epi8((__m512i)shifts, _mm512_set1_epi64(bits));
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
    static constexpr int PLACE = 1;
    static constexpr int TOP = Q;
    static constexpr int OFFSET = Q;

    template <int N>
    static NQ_INLINE void leaders(Block*, const Part*) {}

    /** The ladder step of every lane. */
    static NQ_INLINE Part steps(Part index) {
        const Lanes table = {3, 4, 5, 6, 7, 8, 10, 12, 3, 4, 5, 6, 7, 8, 10, 12};
        return (Part)_mm512_permutexvar_epi32((__m512i)index, (__m512i)table);
    }
};

/** Leaders of E8 modulo q·E8, unpacked as bytes 128·y/q + 128: where the index says so, one moves. */
template <int Q>
struct Gosset {
    static constexpr int PLACE = Q == 16 ? 4 : 5;
    static constexpr int TOP = 128;
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
        const Lanes lowMoves = {M, M << 8, M << 16, M << 24, 0, 0, 0, 0,
                                M, M << 8, M << 16, M << 24, 0, 0, 0, 0};
        const Lanes highMoves = {0, 0, 0, 0, M, M << 8, M << 16, M << 24,
                                 0, 0, 0, 0, M, M << 8, M << 16, M << 24};
        __m512i low = (__m512i)block.low;
        __m512i high = (__m512i)block.high;
        // distances of unsigned bytes from 0 and 256 are 128 - 128·|y|/q, with their low bits free:
        // there the coordinate's number, so that the smallest byte is that of the first largest |y|
        __m512i key = _mm512_min_epu8(
            _mm512_abs_epi8(low), _mm512_or_si512(_mm512_abs_epi8(high), allBytes(4)));
        key = _mm512_or_si512(key, _mm512_set1_epi32(0x03020100));
        key = _mm512_min_epu8(key, turned<16>(key));
        key = _mm512_min_epu8(key, turned<8>(key));
        __mmask16 moves = _mm512_test_epi32_mask((__m512i)index, _mm512_set1_epi32(4));
        // a byte's top bits become y + 2q: the sign, and beside it its complement
        constexpr int S = PLACE - 1;
        constexpr long long whole = moved(S, 7 - S, 0) | row(7 - S, 128) | row(8 - S, 128);
        block.low = (Part)_mm512_xor_si512(
            transformed<Q>(low, whole), _mm512_maskz_permutexvar_epi32(moves, key, (__m512i)lowMoves));
        block.high = (Part)_mm512_xor_si512(
            transformed<Q>(high, whole),
            _mm512_maskz_permutexvar_epi32(moves, key, (__m512i)highMoves));
    }

    /** The ladder step of every lane. */
    static NQ_INLINE Part steps(Part index) {
        const Lanes table = {3, 4, 5, 7, 3, 4, 5, 7, 3, 4, 5, 7, 3, 4, 5, 7};
        return (Part)_mm512_permutexvar_epi32((__m512i)index, (__m512i)table);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
