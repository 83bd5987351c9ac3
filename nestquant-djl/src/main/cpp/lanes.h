#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/**
 * Sixteen 32-bit lanes, one for each row of a tile: what every kernel computes in. The compiler
 * splits them into what the level has; the few operations it finds no good code for are written out.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

#define NQ_INLINE inline __attribute__((always_inline))

constexpr int ROWS = 16;

typedef std::int32_t Lanes __attribute__((vector_size(64)));
typedef std::uint32_t ULanes __attribute__((vector_size(64)));
typedef std::int16_t Shorts __attribute__((vector_size(64)));
typedef std::int8_t Bytes __attribute__((vector_size(64)));
typedef std::uint8_t UBytes __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));

#if defined(__AVX512VNNI__)
#define NQ_VNNI 1
#else
#define NQ_VNNI 0
#endif

NQ_INLINE Lanes load(const void* p) {
    Lanes v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

NQ_INLINE void store(void* p, Lanes v) {
    std::memcpy(p, &v, sizeof v);
}

NQ_INLINE Floats loadFloats(const float* p) {
    Floats v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

NQ_INLINE void storeFloats(float* p, Floats v) {
    std::memcpy(p, &v, sizeof v);
}

/** The lane in all lanes. */
NQ_INLINE Lanes all(std::int32_t x) {
#if NQ_VNNI
    return (Lanes)_mm512_set1_epi32(x);
#else
    return x - Lanes{};
#endif
}

/** A byte in all four of a lane. */
constexpr std::int32_t bytes(int value) {
    return static_cast<std::int32_t>(0x01010101u * static_cast<unsigned>(value));
}

NQ_INLINE Floats allFloats(float x) {
    return x - Floats{};
}

/** Four bytes in all lanes. */
NQ_INLINE Lanes fourBytes(const void* p) {
    std::int32_t x;
    std::memcpy(&x, p, sizeof x);
    return all(x);
}

NQ_INLINE Lanes shiftRight(Lanes v, int bits) {
    return (Lanes)((ULanes)v >> bits);
}

/** |v| of every byte, unsigned. */
NQ_INLINE Lanes absBytes(Lanes v) {
#if NQ_VNNI
    return (Lanes)_mm512_abs_epi8((__m512i)v);
#else
    Bytes b = (Bytes)v;
    Bytes sign = b >> 7;
    return (Lanes)((b ^ sign) - sign);
#endif
}

/** The larger of unsigned bytes. */
NQ_INLINE Lanes maxBytes(Lanes a, Lanes b) {
#if NQ_VNNI
    return (Lanes)_mm512_max_epu8((__m512i)a, (__m512i)b);
#else
    return (Lanes)((UBytes)a > (UBytes)b ? (UBytes)a : (UBytes)b);
#endif
}

/** The parity of the set bits of every lane in bit 0; other bits are anything. */
NQ_INLINE Lanes parity(Lanes v) {
#if NQ_VNNI
    return (Lanes)_mm512_popcnt_epi32((__m512i)v);
#else
    v ^= shiftRight(v, 16);
    v ^= shiftRight(v, 8);
    v ^= shiftRight(v, 4);
    v ^= shiftRight(v, 2);
    return v ^ shiftRight(v, 1);
#endif
}

/** Σ of the four bytes of every lane, unsigned. */
NQ_INLINE Lanes sumBytes(Lanes v) {
#if NQ_VNNI
    return (Lanes)_mm512_dpbusd_epi32(_mm512_setzero_si512(), (__m512i)v, _mm512_set1_epi8(1));
#else
    ULanes u = (ULanes)v;
    ULanes pairs = (u & 0x00FF00FF) + (u >> 8 & 0x00FF00FF);
    return (Lanes)((pairs & 0xFFFF) + (pairs >> 16));
#endif
}

/**
 * Adds the products of unsigned with signed bytes, four to a lane. Without VNNI, unsigned bytes must
 * be at most 127: sums of two are kept in 16 bits.
 */
NQ_INLINE Lanes addProducts(Lanes sum, Lanes unsignedBytes, Lanes signedBytes) {
#if NQ_VNNI
    return (Lanes)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)unsignedBytes, (__m512i)signedBytes);
#elif defined(__AVX2__)
    __m256i u[2], s[2], r[2];
    std::memcpy(u, &unsignedBytes, sizeof u);
    std::memcpy(s, &signedBytes, sizeof s);
    for (int i = 0; i < 2; i++) {
        r[i] = _mm256_madd_epi16(_mm256_maddubs_epi16(u[i], s[i]), _mm256_set1_epi16(1));
    }
    Lanes products;
    std::memcpy(&products, r, sizeof products);
    return sum + products;
#else
    Shorts even = (Shorts)((unsignedBytes & 0x00FF00FF));
    Shorts odd = (Shorts)(shiftRight(unsignedBytes, 8) & 0x00FF00FF);
    Shorts products = even * ((Shorts)(signedBytes << 8) >> 8) + odd * ((Shorts)signedBytes >> 8);
    Lanes pairs = (Lanes)products;
    return sum + (pairs << 16 >> 16) + (pairs >> 16);
#endif
}

/** Adds the products of signed bytes, four to a lane; the weights' are at least -127. */
NQ_INLINE Lanes addSignedProducts(Lanes sum, Lanes weights, Lanes x) {
#if NQ_VNNI
    // 128 is added to the weights here and taken off by the caller, see SIGNED_OFFSET
    return addProducts(sum, weights ^ (std::int32_t)0x80808080, x);
#elif defined(__AVX2__)
    __m256i w[2], s[2], r[2];
    std::memcpy(w, &weights, sizeof w);
    std::memcpy(s, &x, sizeof s);
    for (int i = 0; i < 2; i++) {
        __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(s[i]), _mm256_sign_epi8(w[i], s[i]));
        r[i] = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    }
    Lanes products;
    std::memcpy(&products, r, sizeof products);
    return sum + products;
#else
    Shorts even = ((Shorts)(weights << 8) >> 8) * ((Shorts)(x << 8) >> 8);
    Shorts odd = ((Shorts)weights >> 8) * ((Shorts)x >> 8);
    Lanes a = (Lanes)even;
    Lanes b = (Lanes)odd;
    return sum + (a << 16 >> 16) + (a >> 16) + (b << 16 >> 16) + (b >> 16);
#endif
}

/** What addSignedProducts exceeds the products by, in units of the sum of x. */
constexpr int SIGNED_OFFSET = NQ_VNNI ? 128 : 0;

NQ_INLINE Floats toFloats(Lanes v) {
    return __builtin_convertvector(v, Floats);
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
