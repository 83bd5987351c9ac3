#pragma once

#include "floats.h"
#include "layer.h"
#include "leader.h"
#include "product.h"

/**
 * Softmax attention of one key-value head. Many tokens read keys in tiles of 16, a token in each lane,
 * [headSize][16], and values row by row; coded ones are decoded to them.
 */
namespace nq {
namespace NQ_LEVEL {
namespace {

/** Query heads that share a pass over a step's keys. */
constexpr int STEP_QUERIES = 4;

/** Tokens of a segment of a coded cache that belong to a head: tiles never span heads. */
struct CodedTile {
    StoredTiles codes;
    int tile;

    /** Of the tokens' scales [16]. */
    const std::uint8_t* exponents;
};

/** The tile of 16 tokens from `token` on of a coded cache's keys (side 0) or values (side 1). */
NQ_INLINE CodedTile codedTile(const Layer& layer, const Pass& pass, int side, int head, int token) {
    const std::int64_t* slot = pass.slots + 6 * (token / pass.capacity) + 3 * side;
    StoredTiles codes = {E8_16, layer.headRotation.padded,
                         reinterpret_cast<const std::int32_t*>(slot[0]),
                         reinterpret_cast<const std::int32_t*>(slot[1])};
    int row = head * pass.capacity + token % pass.capacity;
    return {codes, row / ROWS, reinterpret_cast<const std::uint8_t*>(slot[2]) + row};
}

/** Row scales of a tile. */
NQ_INLINE Floats tileScales(const CodedTile& t) {
    float scales[ROWS];
    for (int i = 0; i < ROWS; i++) {
        scales[i] = CACHE_TENSOR_SCALE * rowScalePowers[t.exponents[i]];
    }
    return loadFloats(scales);
}

/** Byte j of every lane as a float. */
NQ_INLINE Floats byteOf(Lanes v, int j) {
    return toFloats(v << (24 - 8 * j) >> 24);
}

/** A tile as floats [padded][16]; ints [padded/4][16] is scratch. */
void decodeTileFloats(const CodedTile& t, std::int32_t* ints, float* floats) {
    decodeStored(t.codes, t.tile, ints);
    Floats scales = tileScales(t);
    for (int g = 0; g < t.codes.columns / 4; g++) {
        Lanes v = load(ints + g * ROWS);
        for (int j = 0; j < 4; j++) {
            storeFloats(floats + (4 * g + j) * ROWS, scales * byteOf(v, j));
        }
    }
}

/** As decodeTileFloats, to rows [16][padded]. */
void decodeRowFloats(const CodedTile& t, std::int32_t* ints, float* tile, float* rows) {
    int size = t.codes.columns;
    decodeTileFloats(t, ints, tile);
    for (int i = 0; i < ROWS; i++) {
        for (int c = 0; c < size; c++) {
            rows[i * size + c] = tile[c * ROWS + i];
        }
    }
}

/** Sixteen rows of floats to a tile [size][16]; rows from `count` on are zero. */
void transposeTile(const float* rows, int size, int count, float* tile) {
    for (int c = 0; c < size; c++) {
        for (int i = 0; i < ROWS; i++) {
            tile[c * ROWS + i] = i < count ? rows[i * size + c] : 0;
        }
    }
}

/** Probabilities from scores [from, to) of a row, whose others become zero up to `end`. */
NQ_INLINE void softmax(float* scores, int from, int to, int end) {
    Floats highest = allFloats(-3e38f);
    int first = from / ROWS * ROWS;
    for (int i = 0; i < first; i++) {
        scores[i] = 0;
    }
    for (int i = first; i < end; i += ROWS) {
        Floats v = loadFloats(scores + i);
        Lanes seen = firstLanes(to - i) & ~firstLanes(from - i);
        v = (Floats)(((Lanes)v & seen) | ((Lanes)allFloats(-3e38f) & ~seen));
        storeFloats(scores + i, v);
        Lanes larger = (Lanes)(v > highest);
        highest = (Floats)(((Lanes)v & larger) | ((Lanes)highest & ~larger));
    }
    float lanes[ROWS];
    storeFloats(lanes, highest);
    float max = lanes[0];
    for (int i = 1; i < ROWS; i++) {
        max = lanes[i] > max ? lanes[i] : max;
    }
    Floats sum = {};
    for (int i = first; i < end; i += ROWS) {
        Floats p = exponential(loadFloats(scores + i) - max);
        storeFloats(scores + i, p);
        sum += p;
    }
    Floats inverse = allFloats(1 / sumLanes(sum));
    for (int i = first; i < end; i += ROWS) {
        storeFloats(scores + i, loadFloats(scores + i) * inverse);
    }
}

/** Scores of N queries with a tile of float keys; scores [N][stride]. */
template <int N>
NQ_INLINE void tileScores(const float* const* q, const float* keys, int size, float* scores,
                          int stride) {
    Floats sums[N] = {};
    for (int c = 0; c < size; c++) {
        Floats k = loadFloats(keys + c * ROWS);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            sums[n] += k * q[n][c];
        }
    }
    for (int n = 0; n < N; n++) {
        storeFloats(scores + n * stride, sums[n]);
    }
}

/**
 * 16·M columns of values [tokens][size], mixed with N rows of probabilities [N][stride] of tokens
 * from..to; the sums stay in registers.
 */
template <int N, int M>
NQ_INLINE void mixColumns(const float* p, int stride, const float* values, int size, int from, int to,
                          float* const* out, int column) {
    Floats sums[N][M] = {};
    for (int t = from; t < to; t++) {
        const float* row = values + static_cast<std::int64_t>(t) * size + column;
        Floats v[M];
#pragma GCC unroll 4
        for (int m = 0; m < M; m++) {
            v[m] = loadFloats(row + m * ROWS);
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
#pragma GCC unroll 4
            for (int m = 0; m < M; m++) {
                sums[n][m] += p[n * stride + t] * v[m];
            }
        }
    }
    for (int n = 0; n < N; n++) {
        for (int m = 0; m < M; m++) {
            storeFloats(out[n] + column + m * ROWS, sums[n][m]);
        }
    }
}

/** All columns, see mixColumns. */
template <int N>
NQ_INLINE void mixValues(const float* p, int stride, const float* values, int size, int from, int to,
                         float* const* out) {
    constexpr int M = NQ_VNNI ? 4 : 1; // as registers allow
    int c = 0;
    for (; c + M * ROWS <= size; c += M * ROWS) {
        mixColumns<N, M>(p, stride, values, size, from, to, out, c);
    }
    for (; c + ROWS <= size; c += ROWS) {
        mixColumns<N, 1>(p, stride, values, size, from, to, out, c);
    }
    for (; c < size; c++) {
        for (int n = 0; n < N; n++) {
            float sum = 0;
            for (int t = from; t < to; t++) {
                sum += p[n * stride + t] * values[static_cast<std::int64_t>(t) * size + c];
            }
            out[n][c] = sum;
        }
    }
}

/** As tileScores, and sums [size][N][16] of values in tiles, from a coded tile's integers. */
template <int N>
NQ_INLINE void addCodedValues(const float* p, int stride, const CodedTile& t,
                              const std::int32_t* ints, float* sums) {
    Floats scales = tileScales(t);
    Floats weights[N];
    for (int n = 0; n < N; n++) {
        weights[n] = loadFloats(p + n * stride) * scales;
    }
    for (int g = 0; g < t.codes.columns / 4; g++) {
        Lanes v = load(ints + g * ROWS);
        for (int j = 0; j < 4; j++) {
            Floats x = byteOf(v, j);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                float* sum = sums + ((4 * g + j) * N + n) * ROWS;
                storeFloats(sum, loadFloats(sum) + weights[n] * x);
            }
        }
    }
}

/** Queries in 16 bits and their scales, so that their products with coded keys are integers. */
struct CodedQueries {
    std::int8_t* planes[2];
    float scale[STEP_QUERIES];
    std::int32_t corrections[2][STEP_QUERIES];
};

void codeQueries(const float* const* q, int count, int size, CodedQueries& coded) {
    for (int n = 0; n < count; n++) {
        float largest = 0;
        for (int c = 0; c < size; c++) {
            float a = __builtin_fabsf(q[n][c]);
            largest = a > largest ? a : largest;
        }
        coded.scale[n] = largest / 32639;
        float factor = largest < 1e-30f ? 0 : 32639 / largest;
        std::int32_t sums[2] = {0, 0};
        for (int c = 0; c < size; c++) {
            int v = static_cast<int>(__builtin_rintf(q[n][c] * factor));
            coded.planes[0][n * size + c] = static_cast<std::int8_t>((v + 128) >> 8);
            coded.planes[1][n * size + c] = static_cast<std::int8_t>(v);
            sums[0] += coded.planes[0][n * size + c];
            sums[1] += coded.planes[1][n * size + c];
        }
        for (int plane = 0; plane < 2; plane++) {
            coded.corrections[plane][n] = -SIGNED_OFFSET * sums[plane];
        }
    }
}

/** Scores of N coded queries with a coded tile. */
template <int N>
NQ_INLINE void codedScores(const CodedQueries& q, const CodedTile& t, const std::int32_t* ints,
                           float* scores, int stride) {
    Lanes sums[2][N];
    for (int n = 0; n < N; n++) {
        sums[0][n] = all(q.corrections[0][n]);
        sums[1][n] = all(q.corrections[1][n]);
    }
    int size = t.codes.columns;
    for (int g = 0; g < size / 4; g++) {
        Lanes k = load(ints + g * ROWS);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            for (int plane = 0; plane < 2; plane++) {
                sums[plane][n] = addSignedProducts(
                    sums[plane][n], k, fourBytes(q.planes[plane] + n * size + 4 * g));
            }
        }
    }
    Floats scales = tileScales(t);
    for (int n = 0; n < N; n++) {
        Floats sum = 256.0f * toFloats(sums[0][n]) + toFloats(sums[1][n]);
        storeFloats(scores + n * stride, sum * (scales * q.scale[n]));
    }
}

/** What a head's attention works in, cut from one piece of scratch. */
struct AttentionScratch {
    float* scores;
    float* sums;
    float* tile;
    std::int32_t* ints;
    CodedQueries queries;
};

NQ_INLINE int paddedLength(int length) {
    return (length + ROWS - 1) / ROWS * ROWS;
}

std::int64_t attentionBytes(int size, int length) {
    return 4LL * (static_cast<std::int64_t>(STEP_QUERIES) * paddedLength(length) +
                  static_cast<std::int64_t>(STEP_QUERIES + 2) * size * ROWS) +
           2LL * STEP_QUERIES * size + 256;
}

AttentionScratch attentionScratch(void* bytes, int size, int length) {
    AttentionScratch s;
    s.scores = static_cast<float*>(bytes);
    s.sums = s.scores + static_cast<std::int64_t>(STEP_QUERIES) * paddedLength(length);
    s.tile = s.sums + STEP_QUERIES * size * ROWS;
    s.ints = reinterpret_cast<std::int32_t*>(s.tile + size * ROWS);
    s.queries.planes[0] = reinterpret_cast<std::int8_t*>(s.ints + size * ROWS);
    s.queries.planes[1] = s.queries.planes[0] + STEP_QUERIES * size;
    return s;
}

/** Σ over lanes of sums [size][N][16] to N outputs. */
template <int N>
NQ_INLINE void writeMixed(const float* sums, int size, float* const* out) {
    for (int c = 0; c < size; c++) {
        for (int n = 0; n < N; n++) {
            out[n][c] = sumLanes(loadFloats(sums + (c * N + n) * ROWS));
        }
    }
}

/**
 * N queries of one token and one key-value head, which see tokens from..to of a coded cache.
 *
 * q and out: N vectors of the padded head size.
 */
template <int N>
void codedStep(const Layer& layer, const Pass& pass, int head, int from, int to,
               const float* const* q, float* const* out, AttentionScratch& s) {
    int size = layer.headRotation.padded;
    int end = paddedLength(to);
    codeQueries(q, N, size, s.queries);
    for (int t = from / ROWS * ROWS; t < end; t += ROWS) {
        CodedTile tile = codedTile(layer, pass, 0, head, t);
        decodeStored(tile.codes, tile.tile, s.ints);
        codedScores<N>(s.queries, tile, s.ints, s.scores + t, end);
    }
    for (int n = 0; n < N; n++) {
        softmax(s.scores + n * end, from, to, end);
    }
    std::memset(s.sums, 0, sizeof(float) * static_cast<std::size_t>(N * size * ROWS));
    for (int t = from / ROWS * ROWS; t < end; t += ROWS) {
        CodedTile tile = codedTile(layer, pass, 1, head, t);
        decodeStored(tile.codes, tile.tile, s.ints);
        addCodedValues<N>(s.scores + t, end, tile, s.ints, s.sums);
    }
    writeMixed<N>(s.sums, size, out);
}

/** As codedStep, with a float cache, row after row. */
template <int N>
void floatStep(const Layer& layer, const Pass& pass, int head, int from, int to,
               const float* const* q, float* const* out, AttentionScratch& s) {
    int size = layer.headSize;
    int end = paddedLength(to);
    std::int64_t start = static_cast<std::int64_t>(head) * pass.capacity * size;
    const float* keys = reinterpret_cast<const float*>(pass.slots[0]) + start;
    const float* values = reinterpret_cast<const float*>(pass.slots[1]) + start;
    for (int t = from; t < to; t++) {
        const float* k = keys + static_cast<std::int64_t>(t) * size;
        for (int n = 0; n < N; n++) {
            Floats sum = {};
            int c = 0;
            for (; c + ROWS <= size; c += ROWS) {
                sum += loadFloats(k + c) * loadFloats(q[n] + c);
            }
            float score = sumLanes(sum);
            for (; c < size; c++) {
                score += k[c] * q[n][c];
            }
            s.scores[n * end + t] = score;
        }
    }
    for (int n = 0; n < N; n++) {
        softmax(s.scores + n * end, from, to, end);
        std::memset(out[n], 0, sizeof(float) * static_cast<std::size_t>(size));
    }
    for (int t = from; t < to; t++) {
        const float* v = values + static_cast<std::int64_t>(t) * size;
        for (int n = 0; n < N; n++) {
            float p = s.scores[n * end + t];
            for (int c = 0; c < size; c++) {
                out[n][c] += p * v[c];
            }
        }
    }
}

/**
 * N queries against tiles of float keys, [tiles][size][16], and rows of values, [tokens][size]; query
 * n sees tokens from[n]..to[n], the last of which is the highest.
 */
template <int N>
void tilesAttention(const float* keys, const float* values, int size, const int* from,
                    const int* to, const float* const* q, float* const* out, AttentionScratch& s) {
    int end = paddedLength(to[N - 1]);
    int first = from[0] / ROWS * ROWS;
    for (int t = first; t < end; t += ROWS) {
        tileScores<N>(q, keys + static_cast<std::int64_t>(t) * size, size, s.scores + t, end);
    }
    for (int n = 0; n < N; n++) {
        softmax(s.scores + n * end, from[n], to[n], end);
    }
    mixValues<N>(s.scores, end, values, size, from[0], to[N - 1], out);
}

}  // namespace
}  // namespace NQ_LEVEL
}  // namespace nq
