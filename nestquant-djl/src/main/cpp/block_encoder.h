#pragma once

#include "encode.h"
#include "points.h"

/** The twin of BlockEncoder.java. */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** How overloaded blocks are shortened, see BlockEncoder.java. */
constexpr float SHORTENING = 0.975f;
constexpr int INNER_ATTEMPTS = 3;

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
    F sum = {};
    F max = {};
    F second = {};
    F min = splat(INFINITE);
    for (int i = 0; i < 8; i++) {
        F size = magnitude(x[i]);
        sum += size;
        second = maximum(second, minimum(max, size));
        max = maximum(max, size);
        min = minimum(min, size);
    }
    F ofSum = SLACK * (2 * q + LONGEST / 2) / (code.dual ? sum : sum - 2 * min);
    F ofLargest = SLACK * (q + (code.dual ? 2 : ROOT_2)) / (code.dual ? 2 * max : max + second);
    F sure = (2 * q - LONGEST / 2) / (SLACK * sum);
    return {squaredNorm(x), max, minimum(ofSum, ofLargest), sure};
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

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
