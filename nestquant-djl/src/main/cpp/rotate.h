#pragma once

#include "lanes.h"
#include "layer.h"

namespace nq {
namespace NQ_LEVEL {
namespace {


/** One level within groups shorter than a vector. */
void shortLevel(float* x, int n, int half) {
    for (int b = 0; b < n; b += 2 * half) {
        for (int i = b; i < b + half; i++) {
            float u = x[i];
            float v = x[i + half];
            x[i] = u + v;
            x[i + half] = u - v;
        }
    }
}

/** One level among 16 neighbours: entries D apart become their sum and difference. */
template <int D>
NQ_INLINE Floats sixteenLevel(Floats v) {
    const Lanes lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    Lanes upper = (lanes / D) << 31;
    return (Floats)((Lanes)v ^ upper) + swapped<D>(v);
}

/** The first four levels, within vectors. */
void sixteenPoints(float* x, int n) {
    for (int i = 0; i < n; i += 16) {
        Floats v = loadFloats(x + i);
        v = sixteenLevel<1>(v);
        v = sixteenLevel<2>(v);
        v = sixteenLevel<4>(v);
        v = sixteenLevel<8>(v);
        storeFloats(x + i, v);
    }
}

/** One level within groups of vectors. */
void longLevel(float* x, int n, int half) {
    for (int b = 0; b < n; b += 2 * half) {
        for (int i = b; i < b + half; i += 16) {
            Floats u = loadFloats(x + i);
            Floats v = loadFloats(x + i + half);
            storeFloats(x + i, u + v);
            storeFloats(x + i + half, u - v);
        }
    }
}

/** Two levels in one go: entries that leave the first-level cache do so half as often. */
void twoLevels(float* x, int n, int half) {
    for (int b = 0; b < n; b += 4 * half) {
        for (int i = b; i < b + half; i += 16) {
            Floats v[4];
            for (int k = 0; k < 4; k++) {
                v[k] = loadFloats(x + i + k * half);
            }
            Floats sums[] = {v[0] + v[1], v[2] + v[3]};
            Floats differences[] = {v[0] - v[1], v[2] - v[3]};
            storeFloats(x + i, sums[0] + sums[1]);
            storeFloats(x + i + half, differences[0] + differences[1]);
            storeFloats(x + i + 2 * half, sums[0] - sums[1]);
            storeFloats(x + i + 3 * half, differences[0] - differences[1]);
        }
    }
}

/** x [padded] times the signs. */
NQ_INLINE void flip(const Rotation& r, float* x) {
    for (int i = 0; i < r.padded; i++) {
        x[i] *= r.signs[i];
    }
}

/** The Walsh-Hadamard transform of groups of 2^exponent; its own transpose. */
void hadamard(const Rotation& r, float* x) {
    int n = r.padded;
    if (r.exponent < 4) {
        for (int level = 0; level < r.exponent; level++) {
            shortLevel(x, n, 1 << level);
        }
        return;
    }
    sixteenPoints(x, n);
    int level = 4;
    for (; level + 1 < r.exponent; level += 2) {
        twoLevels(x, n, 1 << level);
    }
    if (level < r.exponent) {
        longLevel(x, n, 1 << level);
    }
}

/** N rows of the dense factor, or of its transpose, from `i` on, times 16 neighbours of all groups. */
template <int N, bool TRANSPOSED>
NQ_INLINE void denseRows(const Rotation& r, int i, const float* x, float* y, int run) {
    Floats sums[N] = {};
    for (int j = 0; j < r.order; j++) {
        Floats v = loadFloats(x + j * run);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            sums[n] += r.factor[TRANSPOSED ? j * r.order + i + n : (i + n) * r.order + j] * v;
        }
    }
    for (int n = 0; n < N; n++) {
        storeFloats(y + (i + n) * run, sums[n]);
    }
}

/** The dense factor among groups, or its transpose; work [padded]. */
template <bool TRANSPOSED>
NQ_INLINE void dense(const Rotation& r, float* x, float* work) {
    if (r.order == 1) {
        return;
    }
    int run = 1 << r.exponent;
    for (int l = 0; run >= ROWS && l < run; l += ROWS) {
        int i = 0;
        for (; i + 4 <= r.order; i += 4) {
            denseRows<4, TRANSPOSED>(r, i, x + l, work + l, run);
        }
        for (; i < r.order; i++) {
            denseRows<1, TRANSPOSED>(r, i, x + l, work + l, run);
        }
    }
    for (int i = 0; run < ROWS && i < r.order; i++) {
        float* y = work + i * run;
        for (int l = 0; l < run; l++) {
            y[l] = 0;
        }
        for (int j = 0; j < r.order; j++) {
            const float* from = x + j * run;
            float factor = r.factor[TRANSPOSED ? j * r.order + i : i * r.order + j];
            for (int l = 0; l < run; l++) {
                y[l] += factor * from[l];
            }
        }
    }
    std::memcpy(x, work, sizeof(float) * static_cast<std::size_t>(r.padded));
}

/** x, [padded] and zero beyond length, becomes R·x; work [padded]. */
inline void rotate(const Rotation& r, float* x, float* work) {
    flip(r, x);
    hadamard(r, x);
    dense<false>(r, x, work);
}

/** x [padded] becomes Rᵀ·x; work [padded]. */
inline void rotateBack(const Rotation& r, float* x, float* work) {
    hadamard(r, x);
    dense<true>(r, x, work);
    flip(r, x);
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
