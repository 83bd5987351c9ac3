#include "encode.h"

#include <cstdint>
#include <cstring>

#include "common.h"
#include "pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/** Entries stay below this size, so that their squares stay finite. */
constexpr float LARGEST_ENTRY = 1e15f;

/** How overloaded blocks are shortened, see BlockEncoder.java. */
constexpr float SHORTENING = 0.975f;
constexpr int INNER_ATTEMPTS = 3;

constexpr int STEPS_PER_OCTAVE = 12;

/** Coarser scales that may fail before the search gives up, see RowScaleSearch.java. */
constexpr int PATIENCE = 8;

/** A sum of floats in any order that is so many times larger is larger in order, too. */
constexpr double SURELY = 1.001;

/** 2^(-i/12), correctly rounded. */
constexpr double ROOTS[STEPS_PER_OCTAVE] = {
    1.0,
    0.9438743126816935,
    0.8908987181403393,
    0.8408964152537145,
    0.7937005259840998,
    0.7491535384383408,
    0.7071067811865476,
    0.6674199270850172,
    0.6299605249474366,
    0.5946035575013605,
    0.5612310241546865,
    0.5297315471796477};

/** 2^((i + 1/2)/12), correctly rounded: from here on i + 1 is nearer. */
constexpr double HALF_WAY[STEPS_PER_OCTAVE] = {
    1.029302236643492,
    1.0905077326652577,
    1.155352696872273,
    1.2240535433046553,
    1.2968395546510096,
    1.3739536474580891,
    1.4556531828421873,
    1.5422108254079407,
    1.6339154532410998,
    1.7310731220122861,
    1.8340080864093424,
    1.9430638823072117};

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

/** What is known of blocks before they are encoded. */
struct Bounds {
    /** Squared norms. */
    F norm;

    /** Largest magnitudes of an entry. */
    F largestEntry;

    /** With a larger 1/β the nearest points do not fit for sure. */
    F largestInverse;

    /** With no larger 1/β they do for sure, unless an entry is too large. */
    F sureInverse;
};

/**
 * Returns what is known of blocks x[8]. Their nearest points can only be leaders if Σ|y| <= 4q for
 * q·D8* or Σ|y| - 2·min|y| <= 4q for q·E8, and |y_i| <= q or |y_i| + |y_j| <= 2q; for sure they are
 * if Σ|y| < 4q and |y_i| < q. In E8's Voronoi cell, where y/2 - x/β lies, vectors have norms of at
 * most 1 and Σ|δ| of at most 8/3.
 */
NQ_INLINE Bounds boundsOf(const LatticeCode& code, const F* x) {
    constexpr float SLACK = 1.0001f;
    constexpr float ROOT_2 = 1.41421356f;
    constexpr float LONGEST = 16.0f / 3;
    float q = static_cast<float>(code.ratio);
    F norm = {};
    F sum = {};
    F max = {};
    F second = {};
    F min = splat(INFINITE);
    for (int i = 0; i < 8; i++) {
        F size = magnitude(x[i]);
        norm += x[i] * x[i];
        sum += size;
        second = maximum(second, minimum(max, size));
        max = maximum(max, size);
        min = minimum(min, size);
    }
    F ofSum = SLACK * (2 * q + LONGEST / 2) / (code.dual ? sum : sum - 2 * min);
    F ofLargest = SLACK * (q + (code.dual ? 2 : ROOT_2)) / (code.dual ? 2 * max : max + second);
    F sure = (2 * q - LONGEST / 2) / (SLACK * sum);
    return {norm, max, minimum(ofSum, ofLargest), sure};
}

/** A step of the ladder at a row scale; the arithmetic is that of BlockEncoder.setRowScale. */
struct Step {
    float beta;
    float inverse;
    float reach;
    float largest;

    /** If no entry of x/β is larger, |y_i| is below q and of at most `largest`. */
    float sureEntry;
};

/** Encodes W blocks at a time at one row scale; the twin of BlockEncoder. */
template <bool DUAL>
struct Encoder {
    int ratio;
    int size;
    Step steps[MAX_STEPS];

    /** The best so far: squared error, doubled integers, index of the step. */
    struct Best {
        F error;
        F point[8];
        I index;

        NQ_INLINE void keep(I good, int j, F newError, const F* y) {
            error = good ? newError : error;
            index = good ? splat(j) : index;
            for (int i = 0; i < 8; i++) {
                point[i] = good ? y[i] : point[i];
            }
        }
    };

    void setRowScale(const LatticeCode& code, float rowScale) {
        // a leader's norm plus E8's covering radius
        double longest = static_cast<double>(code.ratio) + 1;
        ratio = code.ratio;
        size = code.size;
        for (int j = 0; j < size; j++) {
            double scaled = 2.0 * code.steps[j] * static_cast<double>(rowScale);
            steps[j].beta = static_cast<float>(scaled);
            steps[j].inverse = static_cast<float>(1 / scaled);
            steps[j].reach = static_cast<float>(scaled * scaled * longest * longest);
            int largest = 127 / code.steps[j];
            steps[j].largest = static_cast<float>(largest);
            int below = largest < ratio - 1 ? largest : ratio - 1;
            steps[j].sureEntry = 0.4999f * static_cast<float>(below - 2);
        }
    }

    /** Rounds x/β_j; returns numbers that the errors of the nearest points are no less than. */
    NQ_INLINE F roundWith(int j, const F* x, Nearest& nearest) const {
        F scaled[8];
        for (int i = 0; i < 8; i++) {
            scaled[i] = x[i] * steps[j].inverse;
        }
        return nearest.round(scaled) * steps[j].beta * steps[j].beta;
    }

    /** Returns the errors of the points nearest to x/β_j, after roundWith. */
    NQ_INLINE F errorWith(int j, Nearest& nearest) const {
        return nearest.distance() * steps[j].beta * steps[j].beta;
    }

    /** Says which blocks a step may serve, if only shortened by INNER_ATTEMPTS. */
    NQ_INLINE I promises(int j, const Bounds& bounds) const {
        constexpr float SHORTEST = 0.95f; // less than SHORTENING^2
        I inside = SHORTEST * steps[j].inverse <= bounds.largestInverse;
        // clamped to what can be stored, a block is shorter than that
        I clamped = bounds.largestEntry * steps[j].inverse > 0.5f * steps[j].largest;
        return (inside | clamped) & (bounds.norm <= steps[j].reach);
    }

    /** Says which blocks' nearest points fit a step for sure. */
    NQ_INLINE I sureToFit(int j, const Bounds& bounds) const {
        F inverse = splat(steps[j].inverse);
        I small = bounds.largestEntry * inverse <= steps[j].sureEntry;
        return (inverse <= bounds.sureInverse) & small;
    }

    /** Returns the least errors of nearest points that fit, for ranking scales; BEST_FIT. */
    NQ_INLINE F leastError(const F* x, const Bounds& bounds, bool& overloads) const {
        F least = splat(INFINITE);
        for (int j = 0; j < size; j++) {
            I open = steps[j].inverse <= bounds.largestInverse;
            if (!any(open)) {
                continue;
            }
            Nearest nearest;
            open &= roundWith(j, x, nearest) < least;
            if (!any(open)) {
                continue;
            }
            F error = errorWith(j, nearest);
            open &= error < least;
            I sure = sureToFit(j, bounds);
            if (any(open & ~sure)) {
                F y[8];
                nearest.point(y);
                open &= sure | fits(j, y, open);
            }
            least = open ? error : least;
        }
        I overloaded = least == INFINITE;
        if (__builtin_expect(any(overloaded), 0)) {
            overloads = true;
            Best best;
            best.error = least;
            shorten(size - 1, x, overloadFactor(bounds.norm), overloaded, INT32_MAX, best);
            least = best.error;
        }
        return least;
    }

    /** How far overloaded blocks are shortened at first: into the reach of the largest step. */
    F overloadFactor(F norm) const {
        F quotient = steps[size - 1].reach / norm;
        F factor;
        for (int l = 0; l < W; l++) {
            float root = static_cast<float>(__builtin_sqrt(static_cast<double>(quotient[l])));
            factor[l] = root < 1 ? root : 1;
        }
        return factor;
    }

    /**
     * Clamps active blocks to coordinates that can be stored, then shortens them until they fit or
     * are no better.
     */
    void shorten(int j, const F* x, F factor, I active, int attempts, Best& best) const {
        float box = steps[j].largest * 0.5f;
        float halfStep = 0.5f * steps[j].beta;
        for (int attempt = 0; attempt < attempts && any(active); attempt++) {
            F shortened[8];
            F y[8];
            for (int i = 0; i < 8; i++) {
                F scaled = x[i] * steps[j].inverse;
                shortened[i] = factor * maximum(splat(-box), minimum(splat(box), scaled));
            }
            factor *= SHORTENING;
            Nearest nearest;
            nearest.round(shortened);
            nearest.distance();
            nearest.point(y);
            F error = {};
            for (int i = 0; i < 8; i++) {
                F difference = x[i] - y[i] * halfStep;
                error += difference * difference;
            }
            active &= error < best.error;
            I good = fits(j, y, active);
            best.keep(good, j, error, y);
            active &= ~good;
        }
    }

    /** Says which active points can be stored with step j. */
    NQ_INLINE I fits(int j, const F* y, I active) const {
        if (DUAL) {
            return active & isLeaderDual(y, static_cast<float>(ratio), steps[j].largest);
        }
        return isLeader(y, ratio, steps[j].largest, active);
    }
};

/**
 * A row, and what is known of its blocks. They are encoded in groups of similar bounds, which differ
 * less in the steps that suit them.
 */
struct Row {
    const float* entries;
    int blocks;
    double norm;

    /** The row as structure of arrays, [groups][LANES][W]: entries 0 to 7, then their Bounds. */
    static constexpr int LANES = 8 + 4;
    float* lanes;

    /** Squared errors of the blocks as they are grouped [groups][W]. */
    float* errors;

    /** The blocks of the groups, and the places of the blocks [groups][W]. */
    std::int32_t* order;
    std::int32_t* places;

    /** For each step the blocks that it might serve better [MAX_STEPS][groups][W]. */
    std::int32_t* open;

    Row() = default;

    Row(const float* x, int columns, float* scratch) : entries(x), blocks(columns / 8), norm(0) {
        int padded = groups() * W;
        lanes = scratch;
        errors = lanes + LANES * padded;
        order = reinterpret_cast<std::int32_t*>(errors + padded);
        places = order + padded;
        open = places + padded;
    }

    int groups() const { return (blocks + W - 1) / W; }

    /** A lane like those of `lanes` but in the row's order, until blocks are grouped. */
    float* unordered(int group, int lane) {
        return reinterpret_cast<float*>(open) + (group * LANES + lane) * W;
    }

    /** Number of blocks in a group. */
    int count(int group) const { return blocks - group * W < W ? blocks - group * W : W; }

    NQ_INLINE Bounds load(int group, F* x) const {
        const float* from = lanes + group * LANES * W;
        for (int i = 0; i < 8; i++) {
            x[i] = NQ_LEVEL::load(from + i * W);
        }
        return {
            NQ_LEVEL::load(from + 8 * W),
            NQ_LEVEL::load(from + 9 * W),
            NQ_LEVEL::load(from + 10 * W),
            NQ_LEVEL::load(from + 11 * W)};
    }

    /** Errors like `errors`, of a trial below LANES, until steps are open. */
    float* trial(int i) const { return reinterpret_cast<float*>(open) + i * groups() * W; }

    /** Returns a sum plus all blocks' errors [groups][W], added in the blocks' own order. */
    double addErrors(double sum, const float* blockErrors) const {
        for (int block = 0; block < blocks; block++) {
            sum += static_cast<double>(blockErrors[places[block]]);
        }
        return sum;
    }
};

/** Orders blocks by what bounds their steps, the largest first, to 1/32. */
void sort(Row& row) {
    constexpr int BUCKETS = 64;
    int counts[BUCKETS + 1] = {};
    std::int32_t* keys = row.places;
    std::int32_t smallest = INT32_MAX;
    for (int block = 0; block < row.blocks; block++) {
        std::memcpy(&keys[block], row.unordered(block / W, 10) + block % W, sizeof(float));
        keys[block] = keys[block] >> 18 & 0x1fff; // also of a NaN
        smallest = keys[block] < smallest ? keys[block] : smallest;
    }
    for (int block = 0; block < row.blocks; block++) {
        int bucket = keys[block] - smallest;
        keys[block] = bucket < BUCKETS ? bucket : BUCKETS - 1;
        counts[keys[block] + 1]++;
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        counts[bucket + 1] += counts[bucket];
    }
    for (int block = 0; block < row.blocks; block++) {
        int place = counts[keys[block]]++;
        row.order[place] = block;
        row.places[block] = place;
    }
}

/** Rearranges a row and sums its norms up; returns false if an entry is too large or no number. */
bool arrange(const LatticeCode& code, Row& row) {
    I bad = {};
    for (int g = 0; g < row.groups(); g++) {
        int count = row.count(g);
        F x[8];
        for (int i = 0; i < 8; i++) {
            float* lanes = row.unordered(g, i);
            for (int l = 0; l < W; l++) {
                lanes[l] = l < count ? row.entries[8 * (g * W + l) + i] : 0.0f;
            }
            x[i] = load(lanes);
            bad |= ~(magnitude(x[i]) < LARGEST_ENTRY);
        }
        Bounds bounds = boundsOf(code, x);
        store(row.unordered(g, 8), bounds.norm);
        store(row.unordered(g, 9), bounds.largestEntry);
        store(row.unordered(g, 10), bounds.largestInverse);
        store(row.unordered(g, 11), bounds.sureInverse);
        for (int l = 0; l < count; l++) {
            row.norm += static_cast<double>(row.unordered(g, 8)[l]);
        }
    }
    sort(row);
    for (int g = 0; g < row.groups(); g++) {
        float* group = row.lanes + g * Row::LANES * W;
        for (int l = 0; l < W; l++) {
            // lanes beyond the last block are zeros
            int block = l < row.count(g) ? row.order[g * W + l] : row.blocks + l - row.count(g);
            const float* from = row.unordered(block / W, 0) + block % W;
            for (int i = 0; i < Row::LANES; i++) {
                group[i * W + l] = from[i * W];
            }
        }
    }
    return !any(bad);
}

float rowScale(float tensorScale, int exponent) {
    std::uint64_t bits = static_cast<std::uint64_t>(1023 - exponent / STEPS_PER_OCTAVE) << 52;
    double power;
    std::memcpy(&power, &bits, sizeof power);
    return tensorScale * static_cast<float>(ROOTS[exponent % STEPS_PER_OCTAVE] * power);
}

int clamp(int exponent) {
    return exponent < 0 ? 0 : exponent > LARGEST_EXPONENT ? LARGEST_EXPONENT : exponent;
}

/** Returns 12·log2(ratio), rounded to an integer. */
int nearestExponent(double ratio) {
    std::uint64_t bits;
    std::memcpy(&bits, &ratio, sizeof bits);
    int octave = static_cast<int>(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | std::uint64_t{1023} << 52;
    double fraction;
    std::memcpy(&fraction, &bits, sizeof fraction);
    int steps = 0;
    for (double halfWay : HALF_WAY) {
        steps += fraction >= halfWay;
    }
    return STEPS_PER_OCTAVE * octave + steps;
}

/** The exponent of the scale that suits a row of Gaussian entries. */
int gaussianExponent(const LatticeCode& code, float tensorScale, double norm, int blocks) {
    double scale = code.unit * __builtin_sqrt(norm / (8 * blocks));
    return nearestExponent(static_cast<double>(tensorScale) / scale);
}

/** The i-th exponent to try: from the centre outwards, so that later ones are given up early. */
int trialExponent(int centre, int i) {
    return clamp(centre + (i % 2 == 0 ? i / 2 : -(i + 1) / 2));
}

/**
 * The twin of RowScaleSearch. `attempt(exponent, least, overloads)` returns a row's error, or
 * any number above `least` for a larger one.
 */
struct ScaleSearch {
    double least = static_cast<double>(INFINITE);
    bool leastOverloads = false;

    template <typename Attempt>
    bool improves(int exponent, Attempt&& attempt) {
        bool overloads = false;
        double error = attempt(exponent, least, overloads);
        if (error >= least) {
            return false;
        }
        least = error;
        leastOverloads = overloads;
        return true;
    }

    template <typename Attempt>
    int bestExponent(int centre, int window, Attempt&& attempt) {
        int best = clamp(centre);
        for (int i = 0; i <= 2 * window; i++) {
            int e = trialExponent(centre, i);
            best = improves(e, attempt) ? e : best;
        }
        // the best so far shortens blocks: a scale that covers more of them may be better
        int e = clamp(centre - window) - 1;
        for (; e >= clamp(best - PATIENCE) && leastOverloads; e--) {
            best = improves(e, attempt) ? e : best;
        }
        return best;
    }
};

/** The twin of RowEncoder, for a row or for a piece of it. */
template <bool DUAL>
struct RowEncoder {
    using Blocks = Encoder<DUAL>;

    const LatticeCode* code;
    Row row;
    float tensorScale;
    Blocks encoder;

    /**
     * Finds the blocks' least errors [groups][W] at an exponent, and whether any overload. Returns
     * their sum in any order, which may lack some if it is beyond a limit for sure.
     */
    float findErrors(int exponent, double limit, float* blockErrors, bool& overloads) {
        encoder.setRowScale(*code, rowScale(tensorScale, exponent));
        F sums = {};
        for (int g = 0; g < row.groups(); g++) {
            F x[8];
            Bounds bounds = row.load(g, x);
            F errors = encoder.leastError(x, bounds, overloads);
            store(blockErrors + g * W, errors);
            sums += errors;
            if (g % 4 == 3 && static_cast<double>(total(sums)) > SURELY * limit) {
                break;
            }
        }
        return total(sums);
    }

    int bestExponent(int centre, int window) {
        ScaleSearch search;
        return search.bestExponent(centre, window, [&](int e, double least, bool& overloads) {
            double sum = static_cast<double>(findErrors(e, least, row.errors, overloads));
            return sum > SURELY * least ? sum : row.addErrors(0, row.errors);
        });
    }

    /**
     * Encodes the row at an exponent, INNER_FIT: first by BEST_FIT, then the blocks for which a
     * step would be better that overloads.
     *
     * Returns whether BEST_FIT was enough for every block.
     */
    bool finish(int exponent, EncodedRow& out) {
        out.exponent = exponent;
        out.scale = rowScale(tensorScale, exponent);
        out.norm = row.norm;
        encoder.setRowScale(*code, out.scale);
        int open[MAX_STEPS] = {};
        bool fitting = true;
        for (int g = 0; g < row.groups(); g++) {
            fitting &= fitBest(g, open, out);
        }
        for (int j = 0; j < encoder.size; j++) {
            improve<false>(j, opened(j), open[j], out);
        }
        out.overloads = 0;
        if (!fitting) {
            for (int block = 0; block < row.blocks; block++) {
                if (row.errors[row.places[block]] == INFINITE) {
                    opened(0)[out.overloads++] = block;
                }
            }
            improve<true>(encoder.size - 1, opened(0), out.overloads, out);
        }
        out.error = row.addErrors(0, row.errors);
        return fitting;
    }

private:
    std::int32_t* opened(int j) { return row.open + j * row.groups() * W; }

    /** Finds the best nearest points of a group that fit and lists blocks that may do better. */
    NQ_INLINE bool fitBest(int g, int* open, EncodedRow& out) {
        F x[8];
        Bounds bounds = row.load(g, x);
        F errors[MAX_STEPS];
        typename Blocks::Best best;
        best.error = splat(INFINITE);
        best.index = I{};
        for (int i = 0; i < 8; i++) {
            best.point[i] = F{};
        }
        for (int j = 0; j < encoder.size; j++) {
            errors[j] = splat(INFINITE);
            I open = encoder.promises(j, bounds);
            if (!any(open)) {
                continue;
            }
            Nearest nearest;
            open &= encoder.roundWith(j, x, nearest) < best.error;
            if (!any(open)) {
                continue;
            }
            errors[j] = open ? encoder.errorWith(j, nearest) : errors[j];
            open &= errors[j] < best.error;
            if (any(open)) {
                F y[8];
                nearest.point(y);
                best.keep(encoder.fits(j, y, open), j, errors[j], y);
            }
        }
        int count = row.count(g);
        for (int j = 0; j < encoder.size; j++) {
            I better = errors[j] < best.error;
            // lanes beyond the last have the error 0
            for (std::uint32_t bits = bitsOf(better); bits != 0; bits &= bits - 1) {
                opened(j)[open[j]++] = row.order[g * W + __builtin_ctz(bits)];
            }
        }
        store(row.errors + g * W, best.error);
        put(best, count, row.order + g * W, out);
        return !any(best.error == INFINITE);
    }

    /**
     * Tries points further inside with step j for the blocks listed; OVERLOADED ones are shortened
     * until they fit.
     */
    template <bool OVERLOADED>
    void improve(int j, const std::int32_t* blocks, int count, EncodedRow& out) {
        for (int first = 0; first < count; first += W) {
            int here = count - first < W ? count - first : W;
            alignas(64) float entries[8][W] = {};
            alignas(64) float points[8][W] = {};
            alignas(64) float errors[W] = {};
            std::int32_t indices[W] = {};
            for (int l = 0; l < here; l++) {
                int block = blocks[first + l];
                for (int i = 0; i < 8; i++) {
                    entries[i][l] = row.entries[8 * block + i];
                    points[i][l] = static_cast<float>(out.points[8 * block + i]);
                }
                errors[l] = row.errors[row.places[block]];
                indices[l] = out.indices[block];
            }
            typename Blocks::Best best;
            best.error = load(errors);
            std::memcpy(&best.index, indices, sizeof indices);
            F x[8];
            F norm = {};
            for (int i = 0; i < 8; i++) {
                best.point[i] = load(points[i]);
                x[i] = load(entries[i]);
                norm += x[i] * x[i];
            }
            // lanes beyond the last have the error 0, which nothing improves on
            F factor = OVERLOADED ? encoder.overloadFactor(norm) : splat(1.0f);
            I active = best.error > 0;
            int attempts = OVERLOADED ? INT32_MAX : INNER_ATTEMPTS;
            encoder.shorten(j, x, factor, active, attempts, best);
            store(errors, best.error);
            for (int l = 0; l < here; l++) {
                row.errors[row.places[blocks[first + l]]] = errors[l];
            }
            put(best, here, blocks + first, out);
        }
    }

    /** Writes points and indices of blocks `to[l]`. */
    NQ_INLINE void put(
        const typename Blocks::Best& best, int count, const std::int32_t* to, EncodedRow& out) {
        // the lowest byte of ROUND is 0
        I low = {};
        I high = {};
        for (int i = 3; i >= 0; i--) {
            low = low << 8 | ((I)(best.point[i] + ROUND) & 255);
            high = high << 8 | ((I)(best.point[i + 4] + ROUND) & 255);
        }
        std::int32_t halves[2][W];
        std::int32_t indices[W];
        std::memcpy(halves[0], &low, sizeof low);
        std::memcpy(halves[1], &high, sizeof high);
        std::memcpy(indices, &best.index, sizeof best.index);
        for (int l = 0; l < count; l++) {
            int block = to[l];
            out.indices[block] = static_cast<std::uint8_t>(indices[l]);
            std::memcpy(out.points + 8 * block, &halves[0][l], 4);
            std::memcpy(out.points + 8 * block + 4, &halves[1][l], 4);
        }
    }
};

template <bool DUAL>
void encodeArranged(
    const LatticeCode& code, float tensorScale, int window, const Row& row, EncodedRow& out) {
    RowEncoder<DUAL> encoder{&code, row, tensorScale, {}};
    if (row.norm == 0) {
        encoder.finish(0, out);
        return;
    }
    int centre = gaussianExponent(code, tensorScale, row.norm, row.blocks);
    // without a window the search would only look whether every block is inside
    if (window == 0 && encoder.finish(clamp(centre), out)) {
        return;
    }
    encoder.finish(encoder.bestExponent(centre, window), out);
}

/** Shares a vector's encoding among threads: pieces of its blocks, all first trials at once. */
template <bool DUAL>
struct SharedEncoder {
    /** Pieces have multiples of so many blocks, and so have their scratch and their results. */
    static constexpr int UNIT = 16;

    /** Below it passing entries from core to core takes longer than encoding them. */
    static constexpr int SMALLEST = 6;
    static constexpr int MOST_PIECES = 16;

    /** On lines of its own, pairs of which processors fetch together. */
    struct alignas(128) Piece {
        RowEncoder<DUAL> encoder;
        EncodedRow out;
        bool bad;

        /** Of the trials: errors' sums, in any order, and whether a block overloads. */
        float sums[Row::LANES];
        bool overloads[Row::LANES];
    };

    Pool& pool;
    int count;
    Piece pieces[MOST_PIECES];

    /** What the pieces try next. */
    int first;
    int last;
    int exponents[Row::LANES];

    /** What they are encoded at. */
    int exponent;

    /** Integers m·y [columns]. */
    std::int8_t* integers;

    static int unitsOf(int columns) { return (columns / 8 + UNIT - 1) / UNIT; }

    /** How many pieces are worth it. */
    static int piecesOf(const Pool& pool, int columns) {
        int most = unitsOf(columns) / SMALLEST;
        most = most < MOST_PIECES ? most : MOST_PIECES;
        return pool.threadsHere() < most ? pool.threadsHere() : most;
    }

    SharedEncoder(
        Pool& threads, int parts, const LatticeCode& code, float tensorScale, const float* x,
        int columns, float* scratch, const EncodedRow& out)
        : pool(threads), count(parts) {
        int units = unitsOf(columns);
        for (int i = 0; i < count; i++) {
            int from = 8 * UNIT * (units * i / count);
            int to = 8 * UNIT * (units * (i + 1) / count);
            to = to < columns ? to : columns;
            Row row(x + from, to - from, scratch + encodeScratch(from));
            pieces[i] = {{&code, row, tensorScale, {}}, {}, false, {}, {}};
            pieces[i].out.points = out.points + from;
            pieces[i].out.indices = out.indices + from / 8;
        }
    }

    template <void (SharedEncoder::*STAGE)(Piece&)>
    void run() {
        pool.run(
            count,
            [](void* shared, int part) {
                SharedEncoder& s = *static_cast<SharedEncoder*>(shared);
                (s.*STAGE)(s.pieces[part]);
            },
            this);
    }

    void start(Piece& piece) {
        piece.bad = !arrange(*piece.encoder.code, piece.encoder.row);
        if (!piece.bad) {
            tryScales(piece);
        }
    }

    void tryScales(Piece& piece) {
        for (int i = first; i <= last; i++) {
            piece.overloads[i] = false;
            float* errors = piece.encoder.row.trial(i);
            piece.sums[i] = piece.encoder.findErrors(
                exponents[i], static_cast<double>(INFINITE), errors, piece.overloads[i]);
        }
    }

    void finish(Piece& piece) {
        piece.encoder.finish(exponent, piece.out);
        const LatticeCode& code = *piece.encoder.code;
        std::int64_t at = piece.out.points - pieces[0].out.points;
        decodeIntegers(code, piece.out, 8 * piece.encoder.row.blocks, integers + at);
    }

    /** Returns a trial's error: the ordered sum of all blocks', which are other threads' and far. */
    double errorOf(int trial) const {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            const Row& row = pieces[i].encoder.row;
            sum = row.addErrors(sum, row.trial(trial));
        }
        return sum;
    }

    double sumOf(int trial, bool& overloads) const {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += static_cast<double>(pieces[i].sums[trial]);
            overloads |= pieces[i].overloads[trial];
        }
        return sum;
    }

    /**
     * The search after the first trials, with errors in order or with pieces' sums; these leave
     * `sure` set if no two of them are so close that their order might matter.
     */
    int bestExponent(int centre, int window, bool ordered, bool& sure) {
        int next = 0;
        // twice what so many roundings of floats may lose
        double margin = 1 + 2e-7 * (pieces[0].encoder.row.groups() + count + 8);
        ScaleSearch search;
        return search.bestExponent(centre, window, [&](int e, double least, bool& overloads) {
            int trial = next++;
            if (trial > 2 * window) {
                trial = 2 * window + 1;
                first = trial;
                last = trial;
                exponents[trial] = e;
                run<&SharedEncoder::tryScales>();
            }
            double sum = sumOf(trial, overloads);
            sure &= sum > margin * least || margin * sum < least;
            return ordered ? errorOf(trial) : sum;
        });
    }

    /** Returns false if an entry is too large or no number. */
    bool encode(int centre, int window, std::int8_t* to, float* scale) {
        integers = to;
        first = 0;
        last = 2 * window;
        for (int i = 0; i <= last; i++) {
            exponents[i] = trialExponent(centre, i);
        }
        run<&SharedEncoder::start>();
        for (int i = 0; i < count; i++) {
            if (pieces[i].bad) {
                return false;
            }
        }
        bool sure = true;
        exponent = bestExponent(centre, window, false, sure);
        exponent = sure ? exponent : bestExponent(centre, window, true, sure);
        run<&SharedEncoder::finish>();
        *scale = pieces[0].out.scale;
        return true;
    }
};

}  // namespace

bool encodeRow(
    const LatticeCode& code,
    float tensorScale,
    int window,
    const float* x,
    int columns,
    float* scratch,
    EncodedRow& out) {
    Row row(x, columns, scratch);
    if (!arrange(code, row)) {
        return false;
    }
    if (code.dual) {
        encodeArranged<true>(code, tensorScale, window, row, out);
    } else {
        encodeArranged<false>(code, tensorScale, window, row, out);
    }
    return true;
}

bool encodeVector(
    Pool& pool, const LatticeCode& code, int window, const float* x, int columns, void* scratch,
    std::int8_t* integers, float* scale) {
    double norm = sumOfSquares(x, columns);
    float tensorScale = tensorScaleOf(code, norm, columns);
    if (tensorScale == 0) {
        std::memset(integers, 0, static_cast<std::size_t>(columns));
        *scale = 0;
        return true;
    }
    EncodedRow row;
    float* floats = encodedRow(scratch, columns, row);
    int pieces = SharedEncoder<true>::piecesOf(pool, columns);
    if (pieces > 1 && 2 * window + 1 < Row::LANES) {
        int centre = gaussianExponent(code, tensorScale, norm, columns / 8);
        if (code.dual) {
            SharedEncoder<true> shared(pool, pieces, code, tensorScale, x, columns, floats, row);
            return shared.encode(centre, window, integers, scale);
        }
        SharedEncoder<false> shared(pool, pieces, code, tensorScale, x, columns, floats, row);
        return shared.encode(centre, window, integers, scale);
    }
    if (!encodeRow(code, tensorScale, window, x, columns, floats, row)) {
        return false;
    }
    decodeIntegers(code, row, columns, integers);
    *scale = row.scale;
    return true;
}

}  // namespace NQ_LEVEL
}  // namespace nq
