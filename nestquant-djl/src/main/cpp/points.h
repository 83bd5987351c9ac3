#pragma once

#include "blocks.h"

/** Points of E8 near blocks, and which of them are leaders: GossetLattice and VoronoiCode. */
namespace nq {
namespace NQ_LEVEL {
namespace {

/**
 * The points of E8 nearest to v, GossetLattice.nearest, in stages: most v are given up after the
 * first, and of many only the distance is asked for.
 */
struct Nearest {
    /** v plus ROUND, and what rounding to integers left. */
    F shifted[8];
    F left[8];

    /** What was left, in all and squared. */
    F sum;
    F squares;

    /** Signs of what was left, times: for all coordinates, and for the one with the key `moved`. */
    F all;
    F one;
    I moved;

    /** Rounds v and returns a number that the squared distances are no less than. */
    NQ_INLINE F round(const F* v) {
        sum = F{};
        squares = F{};
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            shifted[i] = multiplyAdd(v[i], 1, splat(ROUND));
            F d = v[i] - (shifted[i] - ROUND);
            left[i] = d;
            sum = i % 2 == 0 ? sum + magnitude(d) : multiplyAdd(magnitude(d), 1, sum);
            squares += d * d;
        }
        // what distance() adds is at least 0 for integers, 2 - sum for half-integers
        return squares + minimum(2 - sum, F{});
    }

    /** Returns the squared distances, after round. */
    NQ_INLINE F distance() {
        I parity = {};
        I signs = {};
        I largest = {};
        I smallest = splat(INT32_MAX);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            I bits = (I)left[i];
            parity ^= (I)shifted[i];
            signs ^= bits;
            I key = (bits & 0x7ffffff8) | i;
            largest = largest > key ? largest : key;
            smallest = smallest < key ? smallest : key;
        }
        I oddInteger = (parity & 1) != 0;
        I oddHalf = ((parity ^ (I)((signs >> 31) & 1)) & 1) != 0;
        F max = (F)(largest & ~7);
        F min = (F)(smallest & ~7);
        F integer = oddInteger ? 1 - 2 * max : F{};
        F half = (2 - sum) + (oddHalf ? 2 * min : F{});
        I isHalf = integer > half;
        // 1 or 0 for all coordinates, -1 or 2 for the one that is rounded to the other side
        all = isHalf ? splat(1.0f) : F{};
        one = isHalf ? splat(-1.0f) : splat(2.0f);
        moved = isHalf ? smallest : largest;
        moved |= ~(isHalf ? oddHalf : oddInteger);
        return maximum(squares + (isHalf ? half : integer), F{});
    }

    /** Writes the points as doubled integers y. */
    NQ_INLINE void point(F* y) const {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            I bits = (I)left[i];
            I key = (bits & 0x7ffffff8) | i;
            F step = key == moved ? one : all;
            y[i] = multiplyAdd(shifted[i] - ROUND, 2, (F)((I)step ^ (bits & INT32_MIN)));
        }
    }
};

/** Says which points are the leaders of their cosets of q·E8: encodes and decodes them. */
__attribute__((noinline)) I survive(const F* y, int ratio) {
    I c[8];
    I wraps = {};
    int shift = __builtin_ctz(2 * ratio);
    for (int i = 0; i < 8; i++) {
        I shifted = (I)(y[i] + ROUND) - (I)splat(ROUND) + ratio;
        c[i] = (shifted & (2 * ratio - 1)) - ratio;
        wraps ^= shifted >> shift;
    }
    I negative = c[1] < 0;
    for (int i = 0; i < 8; i++) {
        I wrap = c[i] >= 0;
        c[i] += negative & (wrap ? splat(-ratio) : splat(ratio));
        wraps ^= negative & wrap;
    }
    I b = wraps & 1;
    I sum = {};
    I max = {};
    I min = splat(INT32_MAX);
    I negatives = {};
    for (int i = 0; i < 8; i++) {
        I size = c[i] < 0 ? -c[i] : c[i];
        sum += size;
        negatives ^= c[i] < 0;
        max = max > size ? max : size;
        min = min < size ? min : size;
    }
    I farB = (negatives ^ b) & 1;
    I far = sum - 4 * ratio + b * 2 * (ratio - max) - farB * 2 * min > 0;
    max = I{};
    for (int i = 0; i < 8; i++) {
        c[i] += far & (c[i] < 0 ? splat(ratio) : splat(-ratio));
        I size = c[i] < 0 ? -c[i] : c[i];
        max = max > size ? max : size;
    }
    I move = (far ? farB : b) != 0;
    I same = splat(-1);
    for (int i = 0; i < 8; i++) {
        I size = c[i] < 0 ? -c[i] : c[i];
        I first = move & (size == max);
        move &= ~first;
        c[i] += first & (c[i] < 0 ? splat(2 * ratio) : splat(-2 * ratio));
        same &= (I)(y[i] + ROUND) - (I)splat(ROUND) == c[i];
    }
    return same;
}

/**
 * Says which points are the leaders of their cosets of q·D8*, with |y| of at most `largest`.
 *
 * Both leader candidates lie in [-q, q); of two equally long ones c has y_1 >= 0.
 */
NQ_INLINE I isLeaderDual(const F* y, float q, float largest) {
    F sum = {};
    F max = {};
    F min = {};
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        sum += magnitude(y[i]);
        max = maximum(max, y[i]);
        min = minimum(min, y[i]);
    }
    float below = q - 1 < largest ? q - 1 : largest;
    float above = q < largest ? q : largest;
    F room = 4 * q - sum;
    return (max <= below) & (min >= -above) & ((room > 0) | ((room == 0) & (y[1] >= 0)));
}

/**
 * Says which active points are the leaders of their cosets of q·E8, with |y| of at most `largest`.
 *
 * The facets of q·E8's Voronoi cell belong to its 240 roots: |y_i| + |y_j| <= 2q, and
 * Σ±y <= 4q over even numbers of minus signs. One point in nine is on a facet, where the decoder's
 * tie rule decides. With c the coordinates modulo 2q in [-q, q):
 *
 * - on the second kind, y survives if its candidate is the first, c_1 >= 0;
 * - on the first kind with |y_m| > q, it survives if m is before all j with |y_j| = 2q - |y_m|,
 *   since the first of the largest |c| moves;
 * - with |y_i| = |y_j| = q, one leader in 150, or |y_i| = 2q, it is encoded and decoded.
 */
NQ_INLINE I isLeader(const F* y, int ratio, float largest, I active) {
    float q = static_cast<float>(ratio);
    F sum = {};
    F max = {};
    F second = {};
    F min = splat(INFINITE);
    I signs = {};
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        F size = magnitude(y[i]);
        sum += size;
        signs ^= (I)y[i];
        min = minimum(min, size);
        // of equal sizes the first is the largest
        F key = size + static_cast<float>(7 - i) / 16;
        second = maximum(second, minimum(max, key));
        max = maximum(max, key);
    }
    F size = (max + ROUND) - ROUND;
    F half = (sum - (signs < 0 ? 2 * min : F{})) - 4 * q;
    F offset = magnitude(y[1]) - q;
    I first = (((I)offset ^ (I)y[1]) < 0) & (offset != 0);
    I stored = active & (size <= largest);
    I special = (second >= q) | (size >= 2 * q);
    I inside = stored & ~special & (half < (first ? splat(0.5f) : F{}));
    inside &= second < (2 * q - 2 * size) + max;
    I open = stored & special & (half <= 0) & (second < (2 * q - size) + 1);
    if (__builtin_expect(any(open), 0)) {
        inside |= open & survive(y, ratio);
    }
    return inside;
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
