#pragma once

#include "encode.h"
#include "floats.h"
#include "product.h"
#include "rotate.h"

/** Coding the input of products, and the products, shared among a pool's threads. */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Tiles of a part of a product are multiples of what the kernels take at once. */
constexpr int TILES = 4;

/** Parts per thread: a thread that was interrupted leaves its rest to the others. */
constexpr int PARTS = 6;

NQ_INLINE int bound(int units, int part, int parts) {
    return static_cast<int>(static_cast<std::int64_t>(units) * part / parts);
}

/** Memory in pieces, 64-byte aligned. */
struct Arena {
    char* next;

    template <typename T>
    T* take(std::int64_t count) {
        T* piece = reinterpret_cast<T*>(next);
        next += bytes<T>(count);
        return piece;
    }

    template <typename T>
    static std::int64_t bytes(std::int64_t count) {
        return (count * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64;
    }
};

/** Integers of tokens as kernels multiply them, with room for `tokens` of `columns`. */
struct Coded {
    std::int8_t* high;
    std::int8_t* low;
    float* scales;

    static std::int64_t bytes(int tokens, int columns) {
        std::int64_t entries = static_cast<std::int64_t>(tokens) * columns;
        return 2 * Arena::bytes<std::int8_t>(entries) + Arena::bytes<float>(tokens);
    }

    static Coded take(Arena& arena, int tokens, int columns) {
        std::int64_t entries = static_cast<std::int64_t>(tokens) * columns;
        return {arena.take<std::int8_t>(entries), arena.take<std::int8_t>(entries),
                arena.take<float>(tokens)};
    }

    Rows rows(int tokens, int columns, int bits) const {
        return {tokens, columns, high, bits == 16 ? low : nullptr, scales};
    }
};

/** max|x|; NaN or infinite if an entry is. */
float largestSize(const float* x, int n) {
    // as integers, sizes have the order of floats, and a NaN is the largest
    Lanes largest = {};
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        Lanes size = load(x + i) & 0x7FFFFFFF;
        Lanes larger = (Lanes)(size > largest);
        largest = (size & larger) | (largest & ~larger);
    }
    std::int32_t lanes[16];
    store(lanes, largest);
    std::int32_t max = 0;
    for (int j = 0; j < 16; j++) {
        max = lanes[j] > max ? lanes[j] : max;
    }
    for (; i < n; i++) {
        std::int32_t size;
        std::memcpy(&size, x + i, sizeof size);
        size &= 0x7FFFFFFF;
        max = size > max ? size : max;
    }
    float result;
    std::memcpy(&result, &max, sizeof result);
    return result;
}

/** Rounds a row to 8 or 16 bits, codec.Int8Rows.round; false if an entry is not finite. */
bool roundRow(const float* x, int n, int bits, std::int8_t* high, std::int8_t* low, float* scale) {
    float max = largestSize(x, n);
    if (!(max <= __FLT_MAX__)) {
        return false;
    }
    float top = bits == 8 ? 127.0f : 32639.0f;
    float factor = max < 1e-30f ? 0 : top / max;
    *scale = max < 1e-30f ? 0 : max / top;
    // adding 1.5·2^23 rounds to the nearest, even on ties, as rint does
    if (bits == 8) {
        for (int i = 0; i < n; i++) {
            float v = x[i] * factor + 12582912.0f;
            std::int32_t q;
            std::memcpy(&q, &v, sizeof q);
            high[i] = static_cast<std::int8_t>(q);
        }
        return true;
    }
    for (int i = 0; i < n; i++) {
        float v = x[i] * factor + 12582912.0f;
        std::int32_t q;
        std::memcpy(&q, &v, sizeof q);
        high[i] = static_cast<std::int8_t>(((q & 0x3FFFFF) + 128) >> 8);
        low[i] = static_cast<std::int8_t>(q);
    }
    return true;
}

/** Where the input of a product comes from. */
struct Source {
    enum Kind { NORM, PLAIN, GATED } kind;

    /** Rows [tokens][n]: the hidden state, mixed values, or gates. */
    const float* x;

    /** γ of the norm, or the rows that gates are multiplied with. */
    const float* other;
    int n;

    /** Of the norm. */
    float epsilon;
};

/** Rotates and codes the inputs of a product, tokens in parallel. */
struct Prepare {
    Pool* pool;
    const Rotation* rotation;
    Source source;

    /** 4, 8 or 16. */
    int bits;
    Coded to;
    int tokens;

    /** Set where an entry is not finite. */
    int* failed;
    int parts;

    void token(int t, void* scratch) const {
        const Rotation& r = *rotation;
        Arena arena = {static_cast<char*>(scratch)};
        float* x = arena.take<float>(r.padded);
        float* work = arena.take<float>(r.padded);
        const float* from = source.x + static_cast<std::int64_t>(t) * source.n;
        if (source.kind == Source::NORM) {
            rmsNorm(from, source.other, source.epsilon, source.n, x);
        } else if (source.kind == Source::GATED) {
            swiGlu(from, source.other + static_cast<std::int64_t>(t) * source.n, source.n, x);
        } else {
            std::memcpy(x, from, sizeof(float) * static_cast<std::size_t>(source.n));
        }
        for (int i = source.n; i < r.padded; i++) {
            x[i] = 0;
        }
        rotate(r, x, work);
        std::int64_t at = static_cast<std::int64_t>(t) * r.padded;
        if (!code(x, to.high + at, to.low + at, to.scales + t, arena.next)) {
            __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
            std::memset(to.high + at, 0, static_cast<std::size_t>(r.padded));
            std::memset(to.low + at, 0, static_cast<std::size_t>(r.padded));
            to.scales[t] = 0;
        }
    }

    bool code(const float* x, std::int8_t* high, std::int8_t* low, float* scale, void* scratch) const {
        int n = rotation->padded;
        // the workers help with a single token
        return bits == 4 ? encodeVector(*pool, latticeCode(E8_16), x, n, scratch, high, scale)
                         : roundRow(x, n, bits, high, low, scale);
    }

    std::int64_t scratchBytes() const {
        return 2 * Arena::bytes<float>(rotation->padded) + encodeBytes(rotation->padded);
    }

    void run() {
        parts = tokens == 1 ? 1 : PARTS * pool->threads();
        parts = parts < tokens ? parts : tokens;
        pool->run(
            parts,
            [](void* shared, int part) {
                const Prepare& p = *static_cast<Prepare*>(shared);
                void* scratch = threadScratch(p.scratchBytes());
                for (int t = bound(p.tokens, part, p.parts); t < bound(p.tokens, part + 1, p.parts);
                     t++) {
                    p.token(t, scratch);
                }
            },
            this);
    }
};

/** Products of one input with up to three matrices. */
struct Products {
    Rows x;
    const Linear* linear[3];
    float* y[3];
    int count;
    Shares shares;
    int parts;

    void part(int part) const {
        int from = shares.start(part);
        int to = shares.start(part + 1);
        for (int i = 0; i < count; i++) {
            int first = from < 0 ? 0 : from;
            int last = to < steps(i) ? to : steps(i);
            if (first < last) {
                const Matrix& w = linear[i]->w;
                int end = last * TILES < w.tiles() ? last * TILES : w.tiles();
                multiply(w, x, first * TILES, end, y[i], threadScratch(scratchBytes(w, x)));
                addBias(i, first * TILES * ROWS, end * ROWS);
            }
            from -= steps(i);
            to -= steps(i);
        }
    }

    int steps(int i) const { return (linear[i]->w.tiles() + TILES - 1) / TILES; }

    void addBias(int i, int from, int to) const {
        int rows = linear[i]->w.rows;
        to = to < rows ? to : rows;
        for (int t = 0; linear[i]->bias != nullptr && t < x.rows; t++) {
            float* out = y[i] + static_cast<std::int64_t>(t) * rows;
            for (int r = from; r < to; r++) {
                out[r] += linear[i]->bias[r];
            }
        }
    }

    void run(Pool& pool) {
        shares = {0, pool.threads()};
        for (int i = 0; i < count; i++) {
            shares.units += steps(i);
        }
        parts = shares.count();
        pool.run(
            parts,
            [](void* shared, int part) {
                const Products& p = *static_cast<Products*>(shared);
                p.part(p.parts - 1 - part); // the pool begins with the last
            },
            this);
    }
};

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
