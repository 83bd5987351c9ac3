#include <cstdint>
#include <cstring>

#include "block_encoder.h"
#include "common.h"
#include "pool.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

/** Entries stay below this size, so that their squares stay finite. */
constexpr float LARGEST_ENTRY = 1e15f;

constexpr int STEPS_PER_OCTAVE = 12;

/** How a row's scale is searched, see RowEncoder.java and RowScaleSearch.java. */
struct Search {
    int window;

    /** Coarser scales that may fail before the search gives up. */
    int patience;
};

/** The search for rows of a matrix. */
constexpr Search ofRows(int window) {
    return {window, 8};
}

/** Σ x², block by block, floats added to a double, and the largest of a block. */
struct Norms {
    double sum;
    float largest;
};

/** The search for a vector that stands alone. */
constexpr Search ofVector(int columns, const Norms& norms) {
    bool alike = static_cast<double>(norms.largest) * (columns / 8) < 2 * norms.sum;
    return {columns < 2048 || alike ? 2 : 1, 2};
}

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

/**
 * A row, and what is known of its blocks. They are encoded in groups of similar bounds, which differ
 * less in the steps that suit them.
 */
struct Row {
    const float* entries;
    int blocks;

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

    Row(const float* x, int columns, float* scratch) : entries(x), blocks(columns / 8) {
        int padded = groups() * W;
        lanes = scratch;
        errors = lanes + LANES * padded;
        order = reinterpret_cast<std::int32_t*>(errors + padded);
        places = order + padded;
        open = places + padded;
    }

    int groups() const { return (blocks + W - 1) / W; }

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

    /** Errors like `errors`, of a trial below MAX_STEPS, until steps are open. */
    float* trial(int i) const { return reinterpret_cast<float*>(open) + i * groups() * W; }

    /** Returns a sum plus all blocks' errors [groups][W], added in the blocks' own order. */
    double addErrors(double sum, const float* blockErrors) const {
        for (int block = 0; block < blocks; block++) {
            sum += static_cast<double>(blockErrors[places[block]]);
        }
        return sum;
    }
};

/** Orders blocks by their keys, which stand in `places`; those beyond BUCKETS come last, as do NaNs'. */
void sort(Row& row) {
    constexpr int BUCKETS = 64;
    int counts[BUCKETS + 1] = {};
    std::int32_t* keys = row.places;
    std::int32_t smallest = INT32_MAX;
    for (int block = 0; block < row.blocks; block++) {
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

/**
 * Groups the blocks of a row by what bounds their steps, the largest first, to 1/32; returns false
 * if an entry is too large or no number.
 */
bool arrange(const LatticeCode& code, Row& row) {
    I bad = {};
    F x[8];
    for (int g = 0; g < row.groups(); g++) {
        gather(row.entries + 8 * g * W, row.count(g), x);
        for (int i = 0; i < 8; i++) {
            bad |= ~(magnitude(x[i]) < LARGEST_ENTRY);
        }
        I key = (I)boundsOf(code, x).largestInverse >> 18 & 0x1fff;
        std::memcpy(row.places + g * W, &key, sizeof key);
    }
    sort(row);
    for (int g = 0; g < row.groups(); g++) {
        gather(row.entries, row.order + g * W, row.count(g), x);
        Bounds bounds = boundsOf(code, x);
        float* group = row.lanes + g * Row::LANES * W;
        for (int i = 0; i < 8; i++) {
            store(group + i * W, x[i]);
        }
        store(group + 8 * W, bounds.norm);
        store(group + 9 * W, bounds.largestEntry);
        store(group + 10 * W, bounds.largestInverse);
        store(group + 11 * W, bounds.sureInverse);
    }
    return !any(bad);
}

Norms normsOf(const float* x, int columns) {
    Norms norms = {};
    for (int block = 0; block < columns / 8; block += W) {
        int count = columns / 8 - block < W ? columns / 8 - block : W;
        F entries[8];
        gather(x + 8 * block, count, entries);
        F sums = squaredNorm(entries);
        // of blocks beyond the last the sum is 0
        for (int l = 0; l < W; l++) {
            norms.sum += static_cast<double>(sums[l]);
            norms.largest = sums[l] > norms.largest ? sums[l] : norms.largest;
        }
    }
    return norms;
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
    int bestExponent(int centre, const Search& how, Attempt&& attempt) {
        int best = clamp(centre);
        for (int i = 0; i <= 2 * how.window; i++) {
            int e = trialExponent(centre, i);
            best = improves(e, attempt) ? e : best;
        }
        // the best so far shortens blocks: a scale that covers more of them may be better
        int e = clamp(centre - how.window) - 1;
        for (; e >= clamp(best - how.patience) && leastOverloads; e--) {
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
    Search search;
    Row row;
    float tensorScale;
    Blocks encoder;

    /**
     * Finds the blocks' least errors [groups][W] at an exponent, and whether any overload. Returns
     * their sum in any order.
     */
    float findErrors(int exponent, float* blockErrors, bool& overloads) {
        encoder.setRowScale(*code, rowScale(tensorScale, exponent));
        F sums = {};
        for (int g = 0; g < row.groups(); g++) {
            F x[8];
            Bounds bounds = row.load(g, x);
            F errors = encoder.leastError(x, bounds, overloads);
            store(blockErrors + g * W, errors);
            sums += errors;
        }
        return total(sums);
    }

    int bestExponent(int centre) {
        ScaleSearch best;
        return best.bestExponent(centre, search, [&](int e, double least, bool& overloads) {
            double sum = static_cast<double>(findErrors(e, row.errors, overloads));
            return sum > SURELY * least ? sum : row.addErrors(0, row.errors);
        });
    }

    /**
     * Encodes the row at an exponent, INNER_FIT: first by BEST_FIT, then the blocks for which a
     * step would be better that overloads.
     */
    void finish(int exponent, EncodedRow& out) {
        out.exponent = exponent;
        out.scale = rowScale(tensorScale, exponent);
        encoder.setRowScale(*code, out.scale);
        int open[MAX_STEPS] = {};
        bool fitting = true;
        for (int g = 0; g < row.groups(); g++) {
            fitting &= fitBest(g, open, out);
        }
        for (int j = 0; j < encoder.size; j++) {
            improve(j, false, opened(j), open[j], out);
        }
        out.overloads = 0;
        if (!fitting) {
            for (int place = 0; place < row.blocks; place++) {
                if (row.errors[place] == INFINITE) {
                    opened(0)[out.overloads++] = place;
                }
            }
            improve(encoder.size - 1, true, opened(0), out.overloads, out);
        }
    }

private:
    std::int32_t* opened(int j) { return row.open + j * row.groups() * W; }

    /** Finds the best nearest points of a group that fit and lists blocks that may do better. */
    NQ_INLINE bool fitBest(int g, int* open, EncodedRow& out) {
        F x[8];
        Bounds bounds = row.load(g, x);
        F errors[MAX_STEPS];
        typename Blocks::Best best = {};
        best.error = splat(INFINITE);
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
                I sure = encoder.sureToFit(j, bounds);
                I good = any(open & ~sure) ? open & (sure | encoder.fits(j, y, open)) : open;
                best.keep(good, j, errors[j], y);
            }
        }
        for (int j = 0; j < encoder.size; j++) {
            I better = errors[j] < best.error;
            // lanes beyond the last have the error 0
            for (std::uint32_t bits = bitsOf(better); bits != 0; bits &= bits - 1) {
                opened(j)[open[j]++] = g * W + __builtin_ctz(bits);
            }
        }
        store(row.errors + g * W, best.error);
        put(best, (1u << row.count(g)) - 1, row.order + g * W, out);
        return !any(best.error == INFINITE);
    }

    /**
     * Tries points further inside with step j for the blocks at the places listed; overloaded ones
     * are shortened until they fit.
     */
    void improve(int j, bool overloaded, const std::int32_t* places, int count, EncodedRow& out) {
        for (int first = 0; first < count; first += W) {
            int here = count - first < W ? count - first : W;
            std::int32_t blocks[W] = {};
            float errors[W] = {};
            for (int l = 0; l < here; l++) {
                blocks[l] = row.order[places[first + l]];
                errors[l] = row.errors[places[first + l]];
            }
            F x[8];
            gather(row.entries, blocks, here, x);
            // lanes beyond the last have the error 0, which nothing improves on
            typename Blocks::Best best = {};
            best.error = load(errors);
            F factor = overloaded ? encoder.overloadFactor(squaredNorm(x)) : splat(1.0f);
            int attempts = overloaded ? INT32_MAX : INNER_ATTEMPTS;
            encoder.shorten(j, x, factor, best.error > 0, attempts, best);
            put(best, bitsOf(best.error < load(errors)), blocks, out);
            store(errors, best.error);
            for (int l = 0; l < here; l++) {
                row.errors[places[first + l]] = errors[l];
            }
        }
    }

    /** Writes points and indices of the lanes whose bits are set, those of blocks `to`. */
    NQ_INLINE void put(
        const typename Blocks::Best& best, std::uint32_t lanes, const std::int32_t* to,
        EncodedRow& out) {
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
        for (; lanes != 0; lanes &= lanes - 1) {
            int l = __builtin_ctz(lanes);
            out.indices[to[l]] = static_cast<std::uint8_t>(indices[l]);
            std::memcpy(out.points + 8 * to[l], &halves[0][l], 4);
            std::memcpy(out.points + 8 * to[l] + 4, &halves[1][l], 4);
        }
    }
};

/** Encodes a vector that stands alone, in pieces for threads to share: all first trials at once. */
template <bool DUAL>
struct VectorEncoder {
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
        float sums[MAX_STEPS];
        bool overloads[MAX_STEPS];
    };

    Pool& pool;
    Search search;
    int count;
    Piece pieces[MOST_PIECES];

    /** What the pieces try next. */
    int first;
    int last;
    int exponents[MAX_STEPS];

    /** What they are encoded at. */
    int exponent;

    static int unitsOf(int columns) { return (columns / 8 + UNIT - 1) / UNIT; }

    /** How many pieces are worth it. */
    static int piecesOf(const Pool& pool, int columns) {
        int most = unitsOf(columns) / SMALLEST;
        most = most < MOST_PIECES ? most : MOST_PIECES;
        most = pool.threadsHere() < most ? pool.threadsHere() : most;
        return most > 1 ? most : 1;
    }

    VectorEncoder(
        Pool& threads, const LatticeCode& code, const Search& how, float tensorScale,
        const float* x, int columns, void* scratch, std::int8_t* integers)
        : pool(threads), search(how), count(piecesOf(threads, columns)) {
        EncodedRow whole;
        float* floats = encodedRow(scratch, columns, whole);
        int units = unitsOf(columns);
        for (int i = 0; i < count; i++) {
            int from = 8 * UNIT * (units * i / count);
            int to = 8 * UNIT * (units * (i + 1) / count);
            to = to < columns ? to : columns;
            Row row(x + from, to - from, floats + encodeScratch(from));
            pieces[i] = {{&code, search, row, tensorScale, {}}, {}, false, {}, {}};
            pieces[i].out.points = integers + from;
            pieces[i].out.indices = whole.indices + from / 8;
        }
    }

    template <void (VectorEncoder::*STAGE)(Piece&)>
    void run() {
        pool.run(
            count,
            [](void* shared, int part) {
                VectorEncoder& s = *static_cast<VectorEncoder*>(shared);
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
            piece.sums[i] = piece.encoder.findErrors(exponents[i], errors, piece.overloads[i]);
        }
    }

    void finish(Piece& piece) {
        piece.encoder.finish(exponent, piece.out);
        decodeIntegers(*piece.encoder.code, 8 * piece.encoder.row.blocks, piece.out);
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
    int bestExponent(int centre, bool ordered, bool& sure) {
        int next = 0;
        // twice what so many roundings of floats may lose
        double margin = 1 + 2e-7 * (pieces[0].encoder.row.groups() + count + 8);
        ScaleSearch best;
        return best.bestExponent(centre, search, [&](int e, double least, bool& overloads) {
            int trial = next++;
            if (trial > 2 * search.window) {
                trial = 2 * search.window + 1;
                first = trial;
                last = trial;
                exponents[trial] = e;
                run<&VectorEncoder::tryScales>();
            }
            double sum = sumOf(trial, overloads);
            sure &= sum > margin * least || margin * sum < least;
            return ordered ? errorOf(trial) : sum;
        });
    }

    /** Returns false if an entry is too large or no number. */
    bool encode(int centre, float* scale) {
        first = 0;
        last = 2 * search.window;
        for (int i = 0; i <= last; i++) {
            exponents[i] = trialExponent(centre, i);
        }
        run<&VectorEncoder::start>();
        for (int i = 0; i < count; i++) {
            if (pieces[i].bad) {
                return false;
            }
        }
        bool sure = true;
        exponent = bestExponent(centre, false, sure);
        exponent = sure ? exponent : bestExponent(centre, true, sure);
        run<&VectorEncoder::finish>();
        *scale = pieces[0].out.scale;
        return true;
    }
};

/** Encodes a row of a matrix. */
template <bool DUAL>
bool encodeRow(
    const LatticeCode& code, float tensorScale, int window, const Row& row, double norm,
    EncodedRow& out) {
    RowEncoder<DUAL> encoder{&code, ofRows(window), row, tensorScale, {}};
    if (!arrange(code, encoder.row)) {
        return false;
    }
    int exponent = 0;
    if (norm > 0) {
        int centre = gaussianExponent(code, tensorScale, norm, row.blocks);
        exponent = encoder.bestExponent(centre);
    }
    encoder.finish(exponent, out);
    out.error = row.addErrors(0, row.errors);
    out.norm = norm;
    return true;
}

template <bool DUAL>
bool encodeVector(
    Pool& pool, const LatticeCode& code, float tensorScale, const Norms& norms, const float* x,
    int columns, void* scratch, std::int8_t* integers, float* scale) {
    Search search = ofVector(columns, norms);
    VectorEncoder<DUAL> encoder(pool, code, search, tensorScale, x, columns, scratch, integers);
    return encoder.encode(gaussianExponent(code, tensorScale, norms.sum, columns / 8), scale);
}

}  // namespace

bool encodeRow(
    const LatticeCode& code, float tensorScale, int window, const float* x, int columns,
    float* scratch, EncodedRow& out) {
    double norm = normsOf(x, columns).sum;
    Row row(x, columns, scratch);
    return code.dual ? encodeRow<true>(code, tensorScale, window, row, norm, out)
                     : encodeRow<false>(code, tensorScale, window, row, norm, out);
}

bool encodeVector(
    Pool& pool, const LatticeCode& code, const float* x, int columns, void* scratch,
    std::int8_t* integers, float* scale) {
    Norms norms = normsOf(x, columns);
    float tensorScale = tensorScaleOf(code, norms.sum, columns);
    if (tensorScale == 0) {
        std::memset(integers, 0, static_cast<std::size_t>(columns));
        *scale = 0;
        return true;
    }
    auto encode = code.dual ? encodeVector<true> : encodeVector<false>;
    return encode(pool, code, tensorScale, norms, x, columns, scratch, integers, scale);
}

}  // namespace NQ_LEVEL
}  // namespace nq
