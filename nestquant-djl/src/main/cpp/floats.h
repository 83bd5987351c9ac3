#pragma once

#include "lanes.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

/** e^x within 2 units of the last place, for x up to 88; 0 below -87. */
NQ_INLINE Floats exponential(Floats x) {
    const Floats lowest = allFloats(-87.0f);
    Lanes below = (Lanes)(x < lowest);
    x = (Floats)(((Lanes)x & ~below) | ((Lanes)lowest & below));
    const Floats highest = allFloats(88.0f);
    Lanes above = (Lanes)(x > highest);
    x = (Floats)(((Lanes)x & ~above) | ((Lanes)highest & above));
    // adding 1.5·2^23 rounds to an integer and leaves it in the low bits
    Floats shifted = x * 1.44269504f + 12582912.0f;
    Lanes integer = (Lanes)shifted - 0x4B400000;
    Floats n = shifted - 12582912.0f;
    Floats r = x - n * 0.693145751953125f - n * 1.42860677e-6f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    Floats power = (Floats)((integer + 127) << 23);
    return (Floats)((Lanes)(p * power) & ~below);
}

/** Σ of all lanes, halves first. */
NQ_INLINE float sumLanes(Floats v) {
    float x[16];
    storeFloats(x, v);
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            x[i] += x[i + half];
        }
    }
    return x[0];
}

/** Lanes below `count`. */
NQ_INLINE Lanes firstLanes(int count) {
    const Lanes index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (Lanes)(index < all(count));
}

/** Σ x². */
NQ_INLINE float squaredNorm(const float* x, int n) {
    Floats sum = {};
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        Floats v = loadFloats(x + i);
        sum += v * v;
    }
    float rest = 0;
    for (; i < n; i++) {
        rest += x[i] * x[i];
    }
    return sumLanes(sum) + rest;
}

/** y = γ·x / sqrt(mean(x²) + ε). */
NQ_INLINE void rmsNorm(const float* x, const float* gamma, float epsilon, int n, float* y) {
    float factor = 1 / __builtin_sqrtf(squaredNorm(x, n) / static_cast<float>(n) + epsilon);
    for (int i = 0; i < n; i++) {
        y[i] = x[i] * factor * gamma[i];
    }
}

/** y = silu(gate)·up. */
NQ_INLINE void swiGlu(const float* gate, const float* up, int n, float* y) {
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        Floats g = loadFloats(gate + i);
        storeFloats(y + i, g / (1.0f + exponential(-g)) * loadFloats(up + i));
    }
    for (; i < n; i++) {
        float g[16] = {gate[i]};
        storeFloats(g, loadFloats(g) / (1.0f + exponential(-loadFloats(g))));
        y[i] = g[0] * up[i];
    }
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
