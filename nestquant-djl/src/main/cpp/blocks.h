#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/** Blocks of eight entries, W at a time, a lane each: vectors x[8] of W lanes. */
namespace nq {
namespace NQ_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

// lane = block; entries and coordinates are small integers or fractions of them, exact in float
typedef float F __attribute__((vector_size(4 * W)));
typedef std::int32_t I __attribute__((vector_size(4 * W)));
typedef float UnalignedF __attribute__((vector_size(4 * W), aligned(4), may_alias));

#define NQ_INLINE inline __attribute__((always_inline))

/** 1.5·2^23: adding it rounds a float and leaves the integer in the low bits of its significand. */
constexpr float ROUND = 12582912.0f;
constexpr float INFINITE = __builtin_inff();

NQ_INLINE F splat(float value) {
    return value - F{};
}

NQ_INLINE I splat(std::int32_t value) {
    return value - I{};
}

NQ_INLINE F maximum(F a, F b) {
    return a > b ? a : b;
}

NQ_INLINE F minimum(F a, F b) {
    return a < b ? a : b;
}

NQ_INLINE F magnitude(F a) {
    return (F)((I)a & 0x7fffffff);
}

/** Returns a mask as bits, lane 0 lowest. */
NQ_INLINE std::uint32_t bitsOf(I mask) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
    return static_cast<std::uint32_t>(_mm256_movemask_ps((__m256)mask));
#elif defined(__SSE2__)
    return static_cast<std::uint32_t>(_mm_movemask_ps((__m128)mask));
#else
    std::uint32_t bits = 0;
    for (int l = 0; l < W; l++) {
        bits |= (mask[l] & 1u) << l;
    }
    return bits;
#endif
}

NQ_INLINE bool any(I mask) {
    return bitsOf(mask) != 0;
}

/** Returns the sum of all lanes, in any order. */
NQ_INLINE float total(F v) {
    float x[W];
    std::memcpy(x, &v, sizeof v);
    for (int half = W / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) {
            x[l] += x[l + half];
        }
    }
    return x[0];
}

/**
 * Returns a·b + c for an exact product a·b: where there are fused multiply-adds, one instruction on
 * the multipliers, which have less to do here than the adders.
 */
NQ_INLINE F multiplyAdd(F a, float b, F c) {
#if defined(__AVX512F__)
    return (F)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(b), (__m512)c);
#elif defined(__FMA__)
    return (F)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(b), (__m256)c);
#else
    return a * b + c;
#endif
}

NQ_INLINE F load(const float* from) {
    return *reinterpret_cast<const UnalignedF*>(from);
}

NQ_INLINE void store(float* to, F value) {
    *reinterpret_cast<UnalignedF*>(to) = value;
}

/** Swaps bit `BIT` of the index of a lane with the one of the vector's, 0 for a and 1 for b. */
template <int BIT>
NQ_INLINE void exchange(F& a, F& b) {
    F from[2] = {a, b};
#if defined(__clang__)
    for (int l = 0; l < W; l++) {
        a[l] = l & BIT ? from[1][l ^ BIT] : from[0][l];
        b[l] = l & BIT ? from[1][l] : from[0][l ^ BIT];
    }
#else
    I lane;
    for (int l = 0; l < W; l++) {
        lane[l] = l;
    }
    I upper = (lane & BIT) != 0;
    a = __builtin_shuffle(from[0], from[1], lane + (upper & (W - BIT)));
    b = __builtin_shuffle(from[0], from[1], lane + (upper ? splat(W) : splat(BIT)));
#endif
}

template <int BIT>
NQ_INLINE void exchangeAll(F* x) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        if ((k & BIT) == 0) {
            exchange<BIT>(x[k], x[k + BIT]);
        }
    }
}

/** Turns the entries of W blocks, block(l) for lane l, into vectors of W lanes. */
template <typename Block>
NQ_INLINE void transpose(Block&& block, F* x) {
    constexpr int AT_ONCE = W < 8 ? W : 8;
    for (int k = 0; k < AT_ONCE; k++) {
#if defined(__AVX512F__)
        __m512 low = _mm512_castps256_ps512(_mm256_loadu_ps(block(k)));
        x[k] = (F)_mm512_insertf32x8(low, _mm256_loadu_ps(block(k + 8)), 1);
#else
        for (int half = 0; half < 8 / AT_ONCE; half++) {
            x[k + half * AT_ONCE] = load(block(k) + half * W);
        }
#endif
    }
    exchangeAll<1>(x);
    exchangeAll<2>(x);
    if (W > 4) {
        exchangeAll<4>(x);
    }
}

constexpr float ZEROS[8] = {};

/** Loads the first `count` of W neighbouring blocks; other lanes are zeros. */
NQ_INLINE void gather(const float* entries, int count, F* x) {
    transpose([&](int l) { return l < count ? entries + 8 * l : ZEROS; }, x);
}

/** Loads `count` blocks of a row, up to W; other lanes are zeros. */
NQ_INLINE void gather(const float* entries, const std::int32_t* blocks, int count, F* x) {
    transpose([&](int l) { return l < count ? entries + 8 * blocks[l] : ZEROS; }, x);
}

/** Returns Σ x² of blocks x[8]. */
NQ_INLINE F squaredNorm(const F* x) {
    F sum = {};
    for (int i = 0; i < 8; i++) {
        sum += x[i] * x[i];
    }
    return sum;
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
