#include "encode.h"

#include <cstdint>
#include <cstring>

#include "common.h"

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

NQ_INLINE float total(F v) {
    float sum = 0;
    for (int l = 0; l < W; l++) {
        sum += v[l];
    }
    return sum;
}

NQ_INLINE F load(const float* from) {
    return *reinterpret_cast<const UnalignedF*>(from);
}

NQ_INLINE void store(float* to, F value) {
    *reinterpret_cast<UnalignedF*>(to) = value;
}

/** The points of E8 nearest to v, GossetLattice.nearest: first their distances, which are cheaper. */
struct Nearest {
    /** v, rounded to integers, and what that left. */
    F rounded[8];
    F left[8];

    /** Signs of what was left, times: for all coordinates, and for the one with the key `moved`. */
    F all;
    F one;
    I moved;

    /** Returns the squared distances. */
    NQ_INLINE F distance(const F* v) {
        I parity = {};
        I signs = {};
        I largest = {};
        I smallest = splat(INT32_MAX);
        F sum = {};
        F squares = {};
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            F shifted = v[i] + ROUND;
            rounded[i] = shifted - ROUND;
            F d = v[i] - rounded[i];
            left[i] = d;
            I bits = (I)d;
            parity ^= (I)shifted;
            signs ^= bits;
            sum += magnitude(d);
            squares += d * d;
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
            y[i] = (rounded[i] + rounded[i]) + (F)((I)step ^ (bits & INT32_MIN));
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

/** A step of the ladder at a row scale; the arithmetic is that of BlockEncoder.setRowScale. */
struct Step {
    float beta;
    float inverse;
    float reach;
    float largest;
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
            steps[j].largest = static_cast<float>(127 / code.steps[j]);
        }
    }

    /** Finds the points nearest to x/β_j and returns their errors, infinite out of reach. */
    NQ_INLINE F nearestWith(int j, const F* x, F norm, Nearest& nearest) const {
        F scaled[8];
        for (int i = 0; i < 8; i++) {
            scaled[i] = x[i] * steps[j].inverse;
        }
        F error = nearest.distance(scaled) * steps[j].beta * steps[j].beta;
        return norm <= steps[j].reach ? error : splat(INFINITE);
    }

    /** Returns the least errors of nearest points that fit, for ranking scales; BEST_FIT. */
    NQ_INLINE F leastError(const F* x, F norm, bool& overloads) const {
        F least = splat(INFINITE);
        for (int j = 0; j < size; j++) {
            if (!any(norm <= steps[j].reach)) {
                continue;
            }
            Nearest nearest;
            F error = nearestWith(j, x, norm, nearest);
            I better = error < least;
            if (any(better)) {
                F y[8];
                nearest.point(y);
                I good = fits(j, y, better);
                least = good ? error : least;
            }
        }
        I overloaded = least == INFINITE;
        if (__builtin_expect(any(overloaded), 0)) {
            overloads = true;
            Best best;
            best.error = least;
            shorten(size - 1, x, overloadFactor(norm), overloaded, INT32_MAX, best);
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
            nearest.distance(shortened);
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
 * A row, and what is known of its blocks. They are encoded in groups of similar norms, which differ
 * less in the steps that suit them.
 */
struct Row {
    const float* entries;
    int blocks;
    double norm;

    /** The row as structure of arrays, [groups][9][W]: entries 0 to 7, squared norms. */
    float* lanes;

    /** Squared errors of the blocks [blocks]. */
    float* errors;

    /** The blocks of the groups [groups][W]. */
    std::int32_t* order;

    /** For each step the blocks that it might serve better [MAX_STEPS][groups][W]. */
    std::int32_t* open;

    Row(const float* x, int columns, float* scratch) : entries(x), blocks(columns / 8), norm(0) {
        int padded = groups() * W;
        lanes = scratch;
        errors = lanes + 9 * padded;
        order = reinterpret_cast<std::int32_t*>(errors + padded);
        open = order + padded;
    }

    int groups() const { return (blocks + W - 1) / W; }

    /** Number of blocks in a group. */
    int count(int group) const { return blocks - group * W < W ? blocks - group * W : W; }

    NQ_INLINE F load(int group, F* x) const {
        const float* from = lanes + group * 9 * W;
        for (int i = 0; i < 8; i++) {
            x[i] = NQ_LEVEL::load(from + i * W);
        }
        return NQ_LEVEL::load(from + 8 * W);
    }

    /** Keeps the errors of a group's blocks. */
    NQ_INLINE void keep(int group, F groupErrors) {
        float values[W];
        store(values, groupErrors);
        for (int l = 0; l < count(group); l++) {
            errors[order[group * W + l]] = values[l];
        }
    }

    /** Returns the sum of all blocks' errors, in their own order. */
    double error() const {
        double sum = 0;
        for (int block = 0; block < blocks; block++) {
            sum += static_cast<double>(errors[block]);
        }
        return sum;
    }
};

/** Orders blocks by their norms, the largest first, to a sixteenth; sums the norms up. */
void sort(Row& row) {
    constexpr int BUCKETS = 64;
    int counts[BUCKETS + 1] = {};
    std::int32_t* keys = row.open;
    std::int32_t largest = 0;
    for (int block = 0; block < row.blocks; block++) {
        float norm = 0;
        for (int i = 8 * block; i < 8 * block + 8; i++) {
            norm += row.entries[i] * row.entries[i];
        }
        row.norm += static_cast<double>(norm);
        std::memcpy(&keys[block], &norm, sizeof norm);
        keys[block] >>= 19;
        largest = keys[block] > largest ? keys[block] : largest;
    }
    for (int block = 0; block < row.blocks; block++) {
        int bucket = largest - keys[block];
        keys[block] = bucket < BUCKETS ? bucket : BUCKETS - 1;
        counts[keys[block] + 1]++;
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        counts[bucket + 1] += counts[bucket];
    }
    for (int block = 0; block < row.blocks; block++) {
        row.order[counts[keys[block]]++] = block;
    }
}

/** Rearranges a row; returns false if an entry is too large or no number. */
bool arrange(Row& row) {
    I bad = {};
    sort(row);
    for (int g = 0; g < row.groups(); g++) {
        float* group = row.lanes + g * 9 * W;
        int count = row.count(g);
        for (int l = 0; l < W; l++) {
            const float* from = row.entries + 8 * row.order[g * W + (l < count ? l : 0)];
            for (int i = 0; i < 8; i++) {
                group[i * W + l] = l < count ? from[i] : 0.0f;
            }
        }
        F norm = {};
        for (int i = 0; i < 8; i++) {
            F entry = load(group + i * W);
            bad |= ~(magnitude(entry) < LARGEST_ENTRY);
            norm += entry * entry;
        }
        store(group + 8 * W, norm);
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

/** The twin of RowEncoder and RowScaleSearch. */
template <bool DUAL>
struct RowEncoder {
    using Blocks = Encoder<DUAL>;

    const LatticeCode& code;
    Row& row;
    float tensorScale;
    Blocks encoder;
    double least;
    bool leastOverloads;

    /** Tries an exponent; returns whether it is the best so far. */
    bool improves(int exponent) {
        encoder.setRowScale(code, rowScale(tensorScale, exponent));
        bool overloads = false;
        F sums = {};
        for (int g = 0; g < row.groups(); g++) {
            F x[8];
            F norm = row.load(g, x);
            F errors = encoder.leastError(x, norm, overloads);
            row.keep(g, errors);
            sums += errors;
            if (g % 4 == 3 && static_cast<double>(total(sums)) > SURELY * least) {
                return false;
            }
        }
        double error = row.error();
        if (error >= least) {
            return false;
        }
        least = error;
        leastOverloads = overloads;
        return true;
    }

    int bestExponent(int centre, int window) {
        least = __builtin_inf();
        leastOverloads = false;
        int best = clamp(centre);
        for (int i = 0; i <= 2 * window; i++) {
            // from the centre outwards: later exponents are given up early
            int e = clamp(centre + (i % 2 == 0 ? i / 2 : -(i + 1) / 2));
            best = improves(e) ? e : best;
        }
        // the best so far shortens blocks: a scale that covers more of them may be better
        int e = clamp(centre - window) - 1;
        for (; e >= clamp(best - PATIENCE) && leastOverloads; e--) {
            best = improves(e) ? e : best;
        }
        return best;
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
        encoder.setRowScale(code, out.scale);
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
                if (row.errors[block] == INFINITE) {
                    opened(0)[out.overloads++] = block;
                }
            }
            improve<true>(encoder.size - 1, opened(0), out.overloads, out);
        }
        out.error = row.error();
        return fitting;
    }

private:
    std::int32_t* opened(int j) { return row.open + j * row.groups() * W; }

    /** Finds the best nearest points of a group that fit and lists blocks that may do better. */
    NQ_INLINE bool fitBest(int g, int* open, EncodedRow& out) {
        F x[8];
        F norm = row.load(g, x);
        F errors[MAX_STEPS];
        typename Blocks::Best best;
        best.error = splat(INFINITE);
        best.index = I{};
        for (int i = 0; i < 8; i++) {
            best.point[i] = F{};
        }
        for (int j = 0; j < encoder.size; j++) {
            errors[j] = splat(INFINITE);
            if (!any(norm <= encoder.steps[j].reach)) {
                continue;
            }
            Nearest nearest;
            errors[j] = encoder.nearestWith(j, x, norm, nearest);
            I better = errors[j] < best.error;
            if (any(better)) {
                F y[8];
                nearest.point(y);
                best.keep(encoder.fits(j, y, better), j, errors[j], y);
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
        row.keep(g, best.error);
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
                errors[l] = row.errors[block];
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
                row.errors[blocks[first + l]] = errors[l];
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
    const LatticeCode& code, float tensorScale, int window, Row& row, EncodedRow& out) {
    RowEncoder<DUAL> encoder{code, row, tensorScale, {}, 0, false};
    if (row.norm == 0) {
        encoder.finish(0, out);
        return;
    }
    double scale = code.unit * __builtin_sqrt(row.norm / (8 * row.blocks));
    int centre = nearestExponent(static_cast<double>(tensorScale) / scale);
    // without a window the search would only look whether every block is inside
    if (window == 0 && encoder.finish(clamp(centre), out)) {
        return;
    }
    encoder.finish(encoder.bestExponent(centre, window), out);
}

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
    if (!arrange(row)) {
        return false;
    }
    if (code.dual) {
        encodeArranged<true>(code, tensorScale, window, row, out);
    } else {
        encodeArranged<false>(code, tensorScale, window, row, out);
    }
    return true;
}

}  // namespace NQ_LEVEL
}  // namespace nq
