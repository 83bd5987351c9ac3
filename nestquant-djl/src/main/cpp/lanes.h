#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/**
 * Sixteen 32-bit lanes, one for each row of a tile: what kernels compute in. Where vectors are
 * shorter, Lanes are a tree of them; the product kernels, which must not run out of registers, take
 * a tile's TILE_PARTS of WIDTH lanes one after the other. Operations that the compiler finds no good code
 * for are written out.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

#define NQ_INLINE inline __attribute__((always_inline))

constexpr int ROWS = 16;

#if defined(__AVX512VNNI__)
#define NQ_VNNI 1
constexpr int WIDTH = 16;
#elif defined(__AVX2__)
#define NQ_VNNI 0
constexpr int WIDTH = 8;
#else
#define NQ_VNNI 0
constexpr int WIDTH = 4;
#endif

constexpr int TILE_PARTS = ROWS / WIDTH;

typedef std::int32_t Part __attribute__((vector_size(4 * WIDTH)));
typedef std::uint32_t UPart __attribute__((vector_size(4 * WIDTH)));
typedef std::int16_t Shorts __attribute__((vector_size(4 * WIDTH)));
typedef std::uint16_t UShorts __attribute__((vector_size(4 * WIDTH)));
typedef std::int8_t Bytes __attribute__((vector_size(4 * WIDTH)));
typedef std::uint8_t UBytes __attribute__((vector_size(4 * WIDTH)));
typedef float FloatPart __attribute__((vector_size(4 * WIDTH)));

/** Two vectors that behave as one; as with the compiler's vectors, casts keep bits. */
template <typename V>
struct Two {
    V a, b;

    NQ_INLINE Two() : a{}, b{} {}
    NQ_INLINE Two(V first, V second) : a(first), b(second) {}

    template <typename U>
    explicit NQ_INLINE Two(const Two<U>& o) : a((V)o.a), b((V)o.b) {}

    /** One value a lane. */
    template <typename T, typename... X>
    NQ_INLINE Two(T first, T second, T third, X... others) {
        const T values[] = {first, second, third, static_cast<T>(others)...};
        static_assert(sizeof values == sizeof(Two), "a value a lane");
        std::memcpy(static_cast<void*>(&a), values, sizeof a);
        std::memcpy(static_cast<void*>(&b), values + sizeof a / sizeof(T), sizeof b);
    }

    NQ_INLINE Two operator-() const { return {-a, -b}; }
    NQ_INLINE Two operator~() const { return {~a, ~b}; }
};

#define NQ_OPERATOR(op)                                                                  \
    template <typename V>                                                                \
    NQ_INLINE auto operator op(const Two<V>& x, const Two<V>& y) {                       \
        return Two<decltype(x.a op y.a)>(x.a op y.a, x.b op y.b);                        \
    }                                                                                    \
    template <typename V, typename S>                                                    \
    NQ_INLINE auto operator op(const Two<V>& x, S y) {                                   \
        return Two<decltype(x.a op y)>(x.a op y, x.b op y);                              \
    }                                                                                    \
    template <typename V, typename S>                                                    \
    NQ_INLINE auto operator op(S x, const Two<V>& y) {                                   \
        return Two<decltype(x op y.a)>(x op y.a, x op y.b);                              \
    }

#define NQ_ARITHMETIC(op)                                                                \
    NQ_OPERATOR(op)                                                                      \
    template <typename V, typename S>                                                    \
    NQ_INLINE Two<V>& operator op##=(Two<V>& x, S y) {                                   \
        return x = x op y;                                                               \
    }

NQ_ARITHMETIC(+)
NQ_ARITHMETIC(-)
NQ_ARITHMETIC(*)
NQ_ARITHMETIC(/)
NQ_ARITHMETIC(&)
NQ_ARITHMETIC(|)
NQ_ARITHMETIC(^)
NQ_ARITHMETIC(<<)
NQ_ARITHMETIC(>>)
NQ_OPERATOR(<)
NQ_OPERATOR(>)

#undef NQ_OPERATOR
#undef NQ_ARITHMETIC

/** Sixteen lanes of vectors V. */
template <typename V, int N>
struct Tree {
    typedef Two<typename Tree<V, N / 2>::Type> Type;
};

template <typename V>
struct Tree<V, 1> {
    typedef V Type;
};

typedef Tree<Part, TILE_PARTS>::Type Lanes;
typedef Tree<UPart, TILE_PARTS>::Type ULanes;
typedef Tree<FloatPart, TILE_PARTS>::Type Floats;

template <typename V>
NQ_INLINE void fill(V& v, const void* p) {
    std::memcpy(&v, p, sizeof v);
}

template <typename V>
NQ_INLINE void fill(Two<V>& v, const void* p) {
    fill(v.a, p);
    fill(v.b, static_cast<const char*>(p) + sizeof v.a);
}

template <typename V>
NQ_INLINE void store(void* p, V v) {
    std::memcpy(p, &v, sizeof v);
}

template <typename V>
NQ_INLINE void store(void* p, Two<V> v) {
    store(p, v.a);
    store(static_cast<char*>(p) + sizeof v.a, v.b);
}

template <typename V = Lanes>
NQ_INLINE V load(const void* p) {
    V v;
    fill(v, p);
    return v;
}

NQ_INLINE Floats loadFloats(const float* p) {
    return load<Floats>(p);
}

NQ_INLINE void storeFloats(float* p, Floats v) {
    store(p, v);
}

/** The lane in all lanes. */
template <typename V = Lanes>
NQ_INLINE V all(std::int32_t x) {
#if NQ_VNNI
    return (V)_mm512_set1_epi32(x);
#else
    return x - V{};
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
template <typename V = Lanes>
NQ_INLINE V fourBytes(const void* p) {
    std::int32_t x;
    std::memcpy(&x, p, sizeof x);
    return all<V>(x);
}

NQ_INLINE Part shiftRight(Part v, int bits) {
    return (Part)((UPart)v >> bits);
}

/** Bit `bit` of every lane to the bits of a byte mask. */
NQ_INLINE Part spread(Part v, int bit, std::int32_t mask) {
    return (v << (31 - bit) >> 31) & mask;
}

/** a · b of lanes. */
NQ_INLINE Part times(Part a, std::int32_t b) {
    return (Part)((UPart)a * static_cast<std::uint32_t>(b));
}

/** |v| of every byte. */
NQ_INLINE Part absBytes(Part v) {
#if NQ_VNNI
    return (Part)_mm512_abs_epi8((__m512i)v);
#elif defined(__AVX2__)
    return (Part)_mm256_abs_epi8((__m256i)v);
#else
    Bytes b = (Bytes)v;
    Bytes sign = b >> 7;
    return (Part)((b ^ sign) - sign);
#endif
}

/** The larger of unsigned bytes. */
NQ_INLINE Part maxBytes(Part a, Part b) {
#if NQ_VNNI
    return (Part)_mm512_max_epu8((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (Part)_mm256_max_epu8((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (Part)_mm_max_epu8((__m128i)a, (__m128i)b);
#else
    return (Part)((UBytes)a > (UBytes)b ? (UBytes)a : (UBytes)b);
#endif
}

/** The lowest byte of every lane, in all of it. */
NQ_INLINE Part lowestByte(Part v) {
#if NQ_VNNI
    return (Part)_mm512_shuffle_epi8(
        (__m512i)v, _mm512_set4_epi32(0x0C0C0C0C, 0x08080808, 0x04040404, 0));
#elif defined(__AVX2__)
    const __m256i from = _mm256_set_epi32(0x0C0C0C0C, 0x08080808, 0x04040404, 0,
                                          0x0C0C0C0C, 0x08080808, 0x04040404, 0);
    return (Part)_mm256_shuffle_epi8((__m256i)v, from);
#else
    v &= 255;
    v |= v << 8;
    return v | v << 16;
#endif
}

/** Σ of the four bytes of every lane, unsigned and each at most 63. */
NQ_INLINE Part sumBytes(Part v) {
#if NQ_VNNI
    return (Part)_mm512_dpbusd_epi32(
        _mm512_setzero_si512(), (__m512i)v, _mm512_set1_epi32(bytes(1)));
#else
    return shiftRight(times(v, bytes(1)), 24);
#endif
}

/** What addSignedProducts exceeds the products by, in units of the sum of x. */
constexpr int SIGNED_OFFSET = NQ_VNNI ? 128 : 0;

/** Adds the products of signed bytes, four to a lane; the weights' are at least -127. */
NQ_INLINE Part addSignedProducts(Part sum, Part weights, Part x) {
#if NQ_VNNI
    // 128 is added to the weights here and taken off by the caller, see SIGNED_OFFSET
    return (Part)_mm512_dpbusd_epi32(
        (__m512i)sum, (__m512i)(weights ^ (std::int32_t)0x80808080), (__m512i)x);
#elif defined(__AVX2__)
    __m256i pairs = _mm256_maddubs_epi16(
        _mm256_abs_epi8((__m256i)x), _mm256_sign_epi8((__m256i)weights, (__m256i)x));
    return sum + (Part)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(__SSE2__)
    __m128i even = _mm_madd_epi16(_mm_srai_epi16(_mm_slli_epi16((__m128i)weights, 8), 8),
                                  _mm_srai_epi16(_mm_slli_epi16((__m128i)x, 8), 8));
    __m128i odd = _mm_madd_epi16(_mm_srai_epi16((__m128i)weights, 8),
                                 _mm_srai_epi16((__m128i)x, 8));
    return sum + (Part)even + (Part)odd;
#else
    Shorts even = ((Shorts)(weights << 8) >> 8) * ((Shorts)(x << 8) >> 8);
    Shorts odd = ((Shorts)weights >> 8) * ((Shorts)x >> 8);
    Part a = (Part)even;
    Part b = (Part)odd;
    return sum + (a << 16 >> 16) + (a >> 16) + (b << 16 >> 16) + (b >> 16);
#endif
}

template <typename V>
NQ_INLINE Two<V> addSignedProducts(Two<V> sum, Two<V> weights, Two<V> x) {
    return {addSignedProducts(sum.a, weights.a, x.a), addSignedProducts(sum.b, weights.b, x.b)};
}

NQ_INLINE FloatPart toFloats(Part v) {
    return __builtin_convertvector(v, FloatPart);
}

template <typename V>
NQ_INLINE auto toFloats(Two<V> v) {
    return Two<decltype(toFloats(v.a))>(toFloats(v.a), toFloats(v.b));
}

/** Lane i becomes lane i ^ D. */
template <int D>
NQ_INLINE FloatPart swapped(FloatPart v) {
#if defined(__clang__)
    FloatPart to;
    for (int i = 0; i < WIDTH; i++) {
        to[i] = v[i ^ D];
    }
    return to;
#else
    const Lanes lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    Part from;
    std::memcpy(&from, &lanes, sizeof from);
    return __builtin_shuffle(v, from ^ D);
#endif
}

template <int D, typename V>
NQ_INLINE Two<V> swapped(Two<V> v) {
    if (8 * D == sizeof v) {
        return {v.b, v.a};
    }
    return {swapped<D>(v.a), swapped<D>(v.b)};
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
