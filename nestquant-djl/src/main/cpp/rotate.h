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

/** The first levels of 16 neighbours at once, within vectors. */
NQ_INLINE Floats swapSum(Floats v, Lanes mask, Lanes signs) {
    Floats w = __builtin_shuffle(v, mask);
    // lanes of the lower half: v + w; of the upper: w - v
    return (Floats)((Lanes)v ^ signs) + w;
}

void sixteenPoints(float* x, int n) {
    const Lanes one = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14};
    const Lanes two = {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13};
    const Lanes four = {4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11};
    const Lanes eight = {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7};
    constexpr std::int32_t N = static_cast<std::int32_t>(0x80000000u);
    const Lanes minusOne = {0, N, 0, N, 0, N, 0, N, 0, N, 0, N, 0, N, 0, N};
    const Lanes minusTwo = {0, 0, N, N, 0, 0, N, N, 0, 0, N, N, 0, 0, N, N};
    const Lanes minusFour = {0, 0, 0, 0, N, N, N, N, 0, 0, 0, 0, N, N, N, N};
    const Lanes minusEight = {0, 0, 0, 0, 0, 0, 0, 0, N, N, N, N, N, N, N, N};
    for (int i = 0; i < n; i += 16) {
        Floats v = loadFloats(x + i);
        v = swapSum(v, one, minusOne);
        v = swapSum(v, two, minusTwo);
        v = swapSum(v, four, minusFour);
        v = swapSum(v, eight, minusEight);
        storeFloats(x + i, v);
    }
}

/** x, [padded] and zero beyond length, becomes R·x; work [padded]. */
void rotate(const Rotation& r, float* x, float* work) {
    int n = r.padded;
    for (int i = 0; i < n; i++) {
        x[i] *= r.signs[i];
    }
    if (r.exponent >= 4) {
        sixteenPoints(x, n);
        for (int level = 4; level < r.exponent; level++) {
            int half = 1 << level;
            for (int b = 0; b < n; b += 2 * half) {
                for (int i = b; i < b + half; i += 16) {
                    Floats u = loadFloats(x + i);
                    Floats v = loadFloats(x + i + half);
                    storeFloats(x + i, u + v);
                    storeFloats(x + i + half, u - v);
                }
            }
        }
    } else {
        for (int level = 0; level < r.exponent; level++) {
            shortLevel(x, n, 1 << level);
        }
    }
    if (r.order == 1) {
        return;
    }
    int run = 1 << r.exponent;
    for (int i = 0; i < r.order; i++) {
        float* y = work + i * run;
        const float* f = r.factor + i * r.order;
        for (int l = 0; l < run; l++) {
            y[l] = 0;
        }
        for (int j = 0; j < r.order; j++) {
            const float* from = x + j * run;
            float factor = f[j];
            for (int l = 0; l < run; l++) {
                y[l] += factor * from[l];
            }
        }
    }
    std::memcpy(x, work, sizeof(float) * static_cast<std::size_t>(n));
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
