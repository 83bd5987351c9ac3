#include "product.h"

#include "leader.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

/** Blocks whose leaders are computed at once: of as many tiles, or of one in three-bit codes. */
constexpr int STEP_BLOCKS = NQ_VNNI ? 4 : 1;

/** Groups that are fetched ahead: what two threads take up while memory answers one. */
constexpr int AHEAD = 32;

/** Up to this many vectors are multiplied straight from the codes, more with a decoded panel. */
constexpr int STEP_VECTORS = 2;

/** Vectors that share a pass over a panel: with PANEL_TILES as many sums as there are registers. */
constexpr int PANEL_VECTORS = NQ_VNNI ? 6 : 4;
constexpr int PANEL_TILES = NQ_VNNI ? 4 : 1;

/** The scales of a tile's rows; rows beyond the last have none. */
struct TileScales {
    double rows[ROWS];
    int count;

    NQ_INLINE void read(const Matrix& w, int tile) {
        int left = w.rows - tile * ROWS;
        count = left < ROWS ? left : ROWS;
        for (int i = 0; i < ROWS; i++) {
            rows[i] = i < count ? static_cast<double>(w.rowScale(tile * ROWS + i)) : 0;
        }
    }

    /** y from rows' sums and, where x has 16 bits, those of its lower bytes. */
    template <bool TWO, typename L>
    NQ_INLINE void write(L high, L low, float scale, float* y) const {
        std::int32_t upper[ROWS], lower[ROWS];
        std::memcpy(upper, &high, sizeof upper);
        std::memcpy(lower, &low, sizeof lower);
        float out[ROWS];
        for (int i = 0; i < ROWS; i++) {
            double sum = TWO ? 256.0 * upper[i] + lower[i] : upper[i];
            out[i] = static_cast<float>(sum * (rows[i] * static_cast<double>(scale)));
        }
        if (count == ROWS) {
            std::memcpy(y, out, sizeof out);
        } else {
            std::memcpy(y, out, sizeof(float) * static_cast<std::size_t>(count));
        }
    }
};

/** Sums of both bytes of x with a tile. */
typedef Part PartSums[2][TILE_PARTS];

/** To the second-level cache: the first level has too few lines under way for memory's latency. */
NQ_INLINE void fetch(const void* p) {
    __builtin_prefetch(p, 0, 2);
}

/**
 * Adds the products of N tiles' group with x, lanes from `first` on, fetching the group `ahead`;
 * corrections [blocks].
 */
template <typename C, int N, bool TWO>
NQ_INLINE void stepLanes(const std::int32_t* const* words, const std::uint8_t* const* betas,
                         int group, int count, int first, const std::int8_t* const* x,
                         const std::int32_t* const* corrections, int ahead,
                         PartSums* sums) {
    Block blocks[N * C::GROUP];
    Part index[N * C::GROUP] = {};
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        const std::int32_t* at = words[n] + group * (C::INTS * ROWS);
        for (int i = 0; i < C::INTS && first == 0; i++) {
            fetch(at + ahead * (C::INTS * ROWS) + i * ROWS);
        }
        C::unpack(at + first, blocks + n * C::GROUP);
        for (int i = 0; i < C::GROUP && i < count; i++) {
            int block = group * C::GROUP + i;
            index[n * C::GROUP + i] =
                indexBits<typename C::Leader>(betas[n] + block * INDEX_BYTES, first);
        }
    }
    if (first == 0) {
        // one tile in turn: a line of the stream lasts for longer than N groups
        fetch(betas[group % N] + (group + ahead) * (C::GROUP * INDEX_BYTES));
    }
    C::Leader::template leaders<N * C::GROUP>(blocks, index);
#pragma GCC unroll 4
    for (int i = 0; i < N * C::GROUP; i++) {
        int n = i / C::GROUP;
        int block = group * C::GROUP + i % C::GROUP;
        if (C::GROUP > 1 && i % C::GROUP >= count) {
            break;
        }
        Part m = C::Leader::steps(index[i]);
        for (int plane = 0; plane < (TWO ? 2 : 1); plane++) {
            Part& sum = sums[n][plane][first / WIDTH];
            sum = addBlock<typename C::Leader>(
                sum, blocks[i], m, corrections[plane][block], x[plane] + 8 * block);
        }
    }
}

/** As stepLanes, for all lanes. */
template <typename C, int N, bool TWO>
NQ_INLINE void stepGroup(const std::int32_t* const* words, const std::uint8_t* const* betas,
                         int group, int count, const std::int8_t* const* x,
                         const std::int32_t* const* corrections, int ahead,
                         PartSums* sums) {
#pragma GCC unroll 4
    for (int first = 0; first < ROWS; first += WIDTH) {
        stepLanes<C, N, TWO>(words, betas, group, count, first, x, corrections, ahead, sums);
    }
}

/** y of N tiles for one vector x, straight from the codes. */
template <typename C, int N, bool TWO>
void stepTiles(const Matrix& w, const Rows& x, int vector, int tile,
               const std::int32_t* corrections, float* y) {
    int blocks = w.blocks();
    int groups = (blocks + C::GROUP - 1) / C::GROUP;
    int ints = w.intsPerRow() * ROWS;
    const std::int32_t* words[N];
    const std::uint8_t* betas[N];
    for (int n = 0; n < N; n++) {
        words[n] = w.words + static_cast<std::int64_t>(tile + n) * ints;
        betas[n] = w.betas + static_cast<std::int64_t>(tile + n) * blocks * INDEX_BYTES;
    }
    const std::int8_t* planes[2] = {x.high + static_cast<std::int64_t>(vector) * x.columns,
                                    TWO ? x.low + static_cast<std::int64_t>(vector) * x.columns
                                        : nullptr};
    const std::int32_t* starts[2] = {corrections, corrections + blocks};
    // beyond a tile's end lies the next one, which is done: that whose turn comes is N - 1 further
    const int beyond = AHEAD + (N - 1) * groups;
    PartSums sums[N] = {};
    // the last group may be short; the loop for whole ones has no branches
    int whole = blocks / C::GROUP;
    int group = 0;
    for (; group < whole - AHEAD; group++) {
        stepGroup<C, N, TWO>(words, betas, group, C::GROUP, planes, starts, AHEAD, sums);
    }
    for (; group < whole; group++) {
        stepGroup<C, N, TWO>(words, betas, group, C::GROUP, planes, starts, beyond, sums);
    }
    if (whole < groups) {
        stepGroup<C, N, TWO>(
            words, betas, whole, blocks - whole * C::GROUP, planes, starts, 0, sums);
    }
    for (int n = 0; n < N; n++) {
        Lanes high = load(sums[n][0]);
        Lanes low = load(sums[n][1]);
        TileScales scales;
        scales.read(w, tile + n);
        scales.write<TWO>(high, low, x.scales[vector], y + (tile + n) * ROWS);
    }
}

/** y of tiles for one vector; scratch holds 2·blocks ints. */
template <typename C, bool TWO>
void step(const Matrix& w, const Rows& x, int vector, int from, int to, float* y, void* scratch) {
    std::int32_t* corrections = static_cast<std::int32_t*>(scratch);
    int blocks = w.blocks();
    std::int64_t at = static_cast<std::int64_t>(vector) * x.columns;
    correct<typename C::Leader>(x.high + at, blocks, corrections);
    if (TWO) {
        correct<typename C::Leader>(x.low + at, blocks, corrections + blocks);
    }
    constexpr int TILES = STEP_BLOCKS > C::GROUP ? STEP_BLOCKS / C::GROUP : 1;
    int tile = from;
    for (; tile + TILES <= to; tile += TILES) {
        stepTiles<C, TILES, TWO>(w, x, vector, tile, corrections, y);
    }
    for (; tile < to; tile++) {
        stepTiles<C, 1, TWO>(w, x, vector, tile, corrections, y);
    }
}

template <typename C>
void decodeTileOf(const Matrix& w, int tile, std::int32_t* panel) {
    using L = typename C::Leader;
    int blocks = w.blocks();
    const std::int32_t* words =
        w.words + static_cast<std::int64_t>(tile) * w.intsPerRow() * ROWS;
    const std::uint8_t* betas =
        w.betas + static_cast<std::int64_t>(tile) * blocks * INDEX_BYTES;
    for (int first = 0; first < blocks; first += C::GROUP) {
        for (int lane = 0; lane < ROWS; lane += WIDTH) {
            Block decoded[C::GROUP];
            Part index[C::GROUP] = {};
            C::unpack(words + first / C::GROUP * (C::INTS * ROWS) + lane, decoded);
            for (int i = 0; i < C::GROUP && first + i < blocks; i++) {
                index[i] = indexBits<L>(betas + (first + i) * INDEX_BYTES, lane);
            }
            L::template leaders<C::GROUP>(decoded, index);
            for (int i = 0; i < C::GROUP && first + i < blocks; i++) {
                writeIntegers<L>(decoded[i], index[i], panel + (first + i) * 2 * ROWS + lane);
            }
        }
    }
}

}  // namespace

void decodeTile(const Matrix& w, int tile, std::int32_t* panel) {
    switch (w.code) {
        case E8_16: decodeTileOf<FourBits<Gosset>>(w, tile, panel); break;
        case D8_16: decodeTileOf<FourBits<Dual>>(w, tile, panel); break;
        case E8_8: decodeTileOf<ThreeBits<Gosset>>(w, tile, panel); break;
        case D8_8: decodeTileOf<ThreeBits<Dual>>(w, tile, panel); break;
        case INT8: break;
    }
}

namespace {

/** Sums of V vectors with N tiles of a panel; sums [V][N] from the vectors' corrections on. */
template <int V, int N>
NQ_INLINE void panelSums(const std::int32_t* const* tiles, int groups,
                         const std::int8_t* const* x, Lanes (*sums)[N]) {
    for (int g = 0; g < groups; g++) {
        Lanes w[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            w[n] = load(tiles[n] + g * ROWS);
        }
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) {
            Lanes entries = fourBytes(x[v] + 4 * g);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                sums[v][n] = addSignedProducts(sums[v][n], w[n], entries);
            }
        }
    }
}

/** Adds the sums of V rows of bytes with N tiles to `sums`, in registers meanwhile. */
template <int V, int N>
NQ_INLINE void planeSums(const std::int32_t* const* tiles, int groups,
                         const std::int8_t* const* x, Lanes (*sums)[N]) {
    Lanes totals[V][N];
    std::memcpy(totals, sums, sizeof totals);
    panelSums<V, N>(tiles, groups, x, totals);
    std::memcpy(sums, totals, sizeof totals);
}

/** y of V vectors for N tiles of a panel. */
template <int V, int N, bool TWO>
void panelBlock(const Rows& x, int vector, const std::int32_t* const* tiles,
                const TileScales* scales, const std::int32_t* corrections, float* y, int rows) {
    constexpr int PLANES = TWO ? 2 : 1;
    const std::int8_t* planes[] = {x.high, x.low};
    const std::int8_t* entries[PLANES][V];
    Lanes sums[PLANES][V][N] = {};
    for (int plane = 0; plane < PLANES; plane++) {
        for (int v = 0; v < V; v++) {
            entries[plane][v] = planes[plane] + static_cast<std::int64_t>(vector + v) * x.columns;
            for (int n = 0; n < N; n++) {
                sums[plane][v][n] = all(corrections[plane * x.rows + vector + v]);
            }
        }
    }
    if (V == 1) {
        // a single vector is bound by memory: the panel is read once for both planes
        planeSums<PLANES * V, N>(tiles, x.columns / 4, entries[0], sums[0]);
    } else {
        for (int plane = 0; plane < PLANES; plane++) {
            planeSums<V, N>(tiles, x.columns / 4, entries[plane], sums[plane]);
        }
    }
    for (int v = 0; v < V; v++) {
        float* out = y + static_cast<std::int64_t>(vector + v) * rows;
        for (int n = 0; n < N; n++) {
            scales[n].template write<TWO>(
                sums[0][v][n], sums[PLANES - 1][v][n], x.scales[vector + v], out + n * ROWS);
        }
    }
}

/** y of all vectors for N tiles from `tile` on. */
template <int N, bool TWO>
void panelTiles(const Matrix& w, const Rows& x, int tile, const std::int32_t* const* tiles,
                const std::int32_t* corrections, float* y) {
    TileScales scales[N];
    for (int n = 0; n < N; n++) {
        scales[n].read(w, tile + n);
    }
    float* first = y + tile * ROWS;
    int vector = 0;
    for (; vector + PANEL_VECTORS <= x.rows; vector += PANEL_VECTORS) {
        panelBlock<PANEL_VECTORS, N, TWO>(x, vector, tiles, scales, corrections, first, w.rows);
    }
    for (; vector < x.rows; vector++) {
        panelBlock<1, N, TWO>(x, vector, tiles, scales, corrections, first, w.rows);
    }
}

std::int64_t correctionBytes(const Matrix& w, const Rows& x) {
    std::int64_t ints = x.rows > w.blocks() ? x.rows : w.blocks();
    return (2 * ints * 4 + 63) / 64 * 64;
}

/** What addSignedProducts exceeds the products with a row of bytes by. */
std::int32_t excess(const std::int8_t* x, int columns) {
    if (SIGNED_OFFSET == 0) {
        return 0;
    }
    Lanes sums = {};
    int c = 0;
    for (; c + 4 * ROWS <= columns; c += 4 * ROWS) {
        sums = addSignedProducts(sums, Lanes{}, load(x + c));
    }
    std::int32_t lanes[ROWS];
    store(lanes, sums);
    std::int32_t sum = 0;
    for (int i = 0; i < ROWS; i++) {
        sum += lanes[i];
    }
    for (; c < columns; c++) {
        sum += SIGNED_OFFSET * x[c];
    }
    return sum;
}

/** y of tiles for all vectors: each tile is decoded once. */
template <bool TWO>
void panel(const Matrix& w, const Rows& x, int from, int to, float* y, void* scratch) {
    std::int32_t* corrections = static_cast<std::int32_t*>(scratch);
    std::int32_t* decoded = reinterpret_cast<std::int32_t*>(
        static_cast<char*>(scratch) + correctionBytes(w, x));
    const std::int8_t* planes[] = {x.high, x.low};
    for (int plane = 0; plane < (TWO ? 2 : 1); plane++) {
        for (int v = 0; v < x.rows; v++) {
            corrections[plane * x.rows + v] =
                -excess(planes[plane] + static_cast<std::int64_t>(v) * x.columns, x.columns);
        }
    }
    std::int64_t tileInts = static_cast<std::int64_t>(w.columns / 4) * ROWS;
    for (int tile = from; tile < to; tile += PANEL_TILES) {
        int count = to - tile < PANEL_TILES ? to - tile : PANEL_TILES;
        const std::int32_t* tiles[PANEL_TILES];
        for (int n = 0; n < count; n++) {
            if (w.code == INT8) {
                tiles[n] = w.words + (tile + n) * tileInts;
            } else {
                decodeTile(w, tile + n, decoded + n * tileInts);
                tiles[n] = decoded + n * tileInts;
            }
        }
        if (count == PANEL_TILES) {
            panelTiles<PANEL_TILES, TWO>(w, x, tile, tiles, corrections, y);
        } else {
            for (int n = 0; n < count; n++) {
                panelTiles<1, TWO>(w, x, tile + n, tiles + n, corrections, y);
            }
        }
    }
}

template <bool TWO>
void stepOf(const Matrix& w, const Rows& x, int vector, int from, int to, float* y, void* s) {
    switch (w.code) {
        case E8_16: step<FourBits<Gosset>, TWO>(w, x, vector, from, to, y, s); break;
        case D8_16: step<FourBits<Dual>, TWO>(w, x, vector, from, to, y, s); break;
        case E8_8: step<ThreeBits<Gosset>, TWO>(w, x, vector, from, to, y, s); break;
        case D8_8: step<ThreeBits<Dual>, TWO>(w, x, vector, from, to, y, s); break;
        case INT8: break;
    }
}

}  // namespace

void multiply(const Matrix& w, const Rows& x, int from, int to, float* y, void* scratch) {
    if (x.rows > STEP_VECTORS || w.code == INT8) {
        if (x.low == nullptr) {
            panel<false>(w, x, from, to, y, scratch);
        } else {
            panel<true>(w, x, from, to, y, scratch);
        }
        return;
    }
    for (int vector = 0; vector < x.rows; vector++) {
        float* out = y + static_cast<std::int64_t>(vector) * w.rows;
        if (x.low == nullptr) {
            stepOf<false>(w, x, vector, from, to, out, scratch);
        } else {
            stepOf<true>(w, x, vector, from, to, out, scratch);
        }
    }
}

std::int64_t scratchBytes(const Matrix& w, const Rows& x) {
    std::int64_t tile = w.code == INT8 ? 0 : static_cast<std::int64_t>(w.columns) * ROWS;
    return correctionBytes(w, x) + PANEL_TILES * tile;
}

void decodeRows(const Matrix& w, int from, int to, float* panel, void* scratch) {
    std::int32_t* decoded = static_cast<std::int32_t*>(scratch);
    std::int64_t tileInts = static_cast<std::int64_t>(w.columns / 4) * ROWS;
    for (int row = from; row < to;) {
        int tile = row / ROWS;
        const std::int8_t* entries;
        if (w.code == INT8) {
            entries = reinterpret_cast<const std::int8_t*>(w.words + tile * tileInts);
        } else {
            decodeTile(w, tile, decoded);
            entries = reinterpret_cast<const std::int8_t*>(decoded);
        }
        for (; row < to && row / ROWS == tile; row++) {
            const std::int8_t* lane = entries + row % ROWS * 4;
            float scale = w.rowScale(row);
            float* out = panel + static_cast<std::int64_t>(row - from) * w.columns;
            for (int g = 0; g < w.columns / 4; g++) {
                for (int j = 0; j < 4; j++) {
                    out[4 * g + j] = scale * static_cast<float>(lane[4 * ROWS * g + j]);
                }
            }
        }
    }
}

}  // namespace NQ_LEVEL
}  // namespace nq
