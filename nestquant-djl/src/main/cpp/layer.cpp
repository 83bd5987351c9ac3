#include "attention.h"
#include "linear.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

/** Up to this many tokens attend one by one, straight from the cache. */
constexpr int STEP_TOKENS = 4;

/** Tokens of a pass through the layer: bounds its scratch. */
constexpr int CHUNK = 512;

/** Tiles of 16 tokens that a part appends and decodes: small, since key-value heads are few. */
constexpr int TILES_PART = 4;

/** Exponents of a vector's scale tried to each side, codec.RowEncoder.SCALE_WINDOW. */
constexpr int CACHE_WINDOW = 3;

/** Queries, keys and values of the new tokens, [tokens][heads][size]; attention over the cache. */
struct Attention {
    const Layer* layer;
    const Pass* pass;
    float* q;
    float* k;
    float* v;
    float* mixed;

    /** For many tokens, tiles of all keys, [kvHeads][length/16][size][16]. */
    float* keyTiles;

    /** Of a coded cache all values, [kvHeads][length][size]. */
    float* valueRows;

    /** Size of a head vector as it is rotated and stored. */
    int size;
    int parts;

    int group() const { return layer->heads / layer->kvHeads; }
    int length() const { return pass->past + pass->tokens; }

    /** Normalises and turns a head vector, and rotates it into x [size]. */
    void turn(float* head, const float* norm, int token, float* x, float* work) const {
        int n = layer->headSize;
        if (norm != nullptr) {
            rmsNorm(head, norm, layer->epsilon, n, head);
        }
        const float* cos = pass->cos + static_cast<std::int64_t>(token) * n;
        const float* sin = pass->sin + static_cast<std::int64_t>(token) * n;
        for (int i = 0; i < n / 2; i++) {
            float a = head[i];
            float b = head[i + n / 2];
            x[i] = a * cos[i] - b * sin[i];
            x[i + n / 2] = b * cos[i + n / 2] + a * sin[i + n / 2];
        }
        for (int i = n; i < size; i++) {
            x[i] = 0;
        }
        if (layer->codedCache) {
            rotate(layer->headRotation, x, work);
        }
    }

    /** Appends new tokens first..last of a key-value head to the cache. */
    void append(int head, int first, int last, void* bytes) const {
        Arena arena = {static_cast<char*>(bytes)};
        float* x = arena.take<float>(size);
        float* work = arena.take<float>(size);
        int n = layer->headSize;
        for (int t = first; t < last; t++) {
            std::int64_t at = (static_cast<std::int64_t>(t) * layer->kvHeads + head) * n;
            turn(k + at, layer->keyNorm, t, x, work);
            int position = pass->past + t;
            if (layer->codedCache) {
                encodeHead(0, head, position, x, arena.next);
                encodeHead(1, head, position, v + at, arena.next);
            } else {
                std::int64_t row = static_cast<std::int64_t>(head) * pass->capacity + position;
                float* keys = reinterpret_cast<float*>(pass->slots[0]);
                float* values = reinterpret_cast<float*>(pass->slots[1]);
                std::memcpy(keys + row * n, x, sizeof(float) * static_cast<std::size_t>(n));
                std::memcpy(values + row * n, v + at, sizeof(float) * static_cast<std::size_t>(n));
            }
        }
    }

    void encodeHead(int side, int head, int position, const float* x, char* scratch) const {
        const std::int64_t* slot = pass->slots + 6 * (position / pass->capacity) + 3 * side;
        PackedRows to = {E8_16, size, reinterpret_cast<std::int32_t*>(slot[0]),
                         reinterpret_cast<std::uint8_t*>(slot[1]),
                         reinterpret_cast<std::uint8_t*>(slot[2])};
        EncodedRow row;
        float* floats = encodedRow(scratch, size, row);
        if (!encodeRow(latticeCode(E8_16), CACHE_TENSOR_SCALE, CACHE_WINDOW, x, size, floats, row)) {
            __atomic_store_n(pass->failed, 1, __ATOMIC_RELAXED);
            return;
        }
        storeRow(to, head * pass->capacity + position % pass->capacity, row);
    }

    int from(int token) const {
        int first = pass->past + token + 1 - layer->window;
        return layer->window == 0 || first < 0 ? 0 : first;
    }

    /** The vector of a token's query head. */
    float* query(float* vectors, int token, int head) const {
        return vectors + (static_cast<std::int64_t>(token) * layer->heads + head) *
                             static_cast<std::int64_t>(layer->headSize);
    }

    template <int N>
    void step(int token, int head, int first, AttentionScratch& s, float* x) const {
        const float* queries[N];
        float* out[N];
        for (int n = 0; n < N; n++) {
            turn(query(q, token, first + n), layer->queryNorm, token, x + n * size, s.tile);
            scale(x + n * size);
            queries[n] = x + n * size;
            out[n] = query(mixed, token, first + n);
        }
        int to = pass->past + token + 1;
        if (layer->codedCache) {
            codedStep<N>(*layer, *pass, head, from(token), to, queries, out, s);
        } else {
            floatStep<N>(*layer, *pass, head, from(token), to, queries, out, s);
        }
    }

    void scale(float* x) const {
        float factor = 1 / __builtin_sqrtf(static_cast<float>(layer->headSize));
        for (int i = 0; i < size; i++) {
            x[i] *= factor;
        }
    }

    /** All new tokens of a key-value head, one by one. */
    void steps(int head) const {
        Arena arena = {static_cast<char*>(threadScratch(scratchBytes()))};
        float* x = arena.take<float>(STEP_QUERIES * static_cast<std::int64_t>(size));
        AttentionScratch s = attentionScratch(arena.next, size, length());
        append(head, 0, pass->tokens, arena.next);
        for (int t = 0; t < pass->tokens; t++) {
            // as few passes over the cache as possible
            int first = head * group();
            int end = first + group();
            for (; first + STEP_QUERIES <= end; first += STEP_QUERIES) {
                step<STEP_QUERIES>(t, head, first, s, x);
            }
            switch (end - first) {
                case 3: step<3>(t, head, first, s, x); break;
                case 2: step<2>(t, head, first, s, x); break;
                case 1: step<1>(t, head, first, s, x); break;
                default: break;
            }
        }
    }

    std::int64_t scratchBytes() const {
        std::int64_t attention = attentionBytes(size, length());
        std::int64_t appending = 2 * Arena::bytes<float>(size) + encodeBytes(size);
        return Arena::bytes<float>(STEP_QUERIES * static_cast<std::int64_t>(size)) + 64 +
               (attention > appending ? attention : appending);
    }

    /** The first token in a tile that one of the new ones sees. */
    int firstTile() const { return from(0) / ROWS * ROWS; }

    /** Parts of tiles(), which makes tiles of the keys of up to TILES_PART·16 tokens of a head. */
    int tileParts() const {
        int tiles = (paddedLength(length()) - firstTile()) / ROWS;
        return (tiles + TILES_PART - 1) / TILES_PART;
    }

    /** Appends the new ones of some tokens of a head, and makes tiles of them all. */
    void tiles(int part) const {
        void* scratch = threadScratch(scratchBytes());
        AttentionScratch s = attentionScratch(scratch, size, length());
        int head = part / tileParts();
        int all = paddedLength(length());
        int first = firstTile() + part % tileParts() * TILES_PART * ROWS;
        int end = first + TILES_PART * ROWS < all ? first + TILES_PART * ROWS : all;
        // every new token lies in one of the tiles
        int from = first < pass->past ? 0 : first - pass->past;
        int to = end - pass->past < pass->tokens ? end - pass->past : pass->tokens;
        append(head, from, to, scratch);
        for (int t = first; t < end; t += ROWS) {
            std::int64_t at = (static_cast<std::int64_t>(head) * all + t) * size;
            if (layer->codedCache) {
                decodeTileFloats(codedTile(*layer, *pass, 0, head, t), s.ints, keyTiles + at);
                decodeRowFloats(
                    codedTile(*layer, *pass, 1, head, t), s.ints, s.tile, valueRows + at);
            } else {
                int count = length() - t < ROWS ? length() - t : ROWS;
                const float* keys = floats(0, head) + static_cast<std::int64_t>(t) * size;
                transposeTile(keys, size, count, keyTiles + at);
            }
        }
    }

    /** Keys (side 0) or values of a head in a float cache. */
    const float* floats(int side, int head) const {
        return reinterpret_cast<const float*>(pass->slots[side]) +
               static_cast<std::int64_t>(head) * pass->capacity * size;
    }

    /** Rows from..to of a head's queries, token after token, against the tiles. */
    template <int N>
    void rows(int head, int row, AttentionScratch& s, float* x) const {
        const float* queries[N];
        float* out[N];
        int froms[N];
        int tos[N];
        for (int n = 0; n < N; n++) {
            int token = (row + n) / group();
            int index = head * group() + (row + n) % group();
            turn(query(q, token, index), layer->queryNorm, token, x + n * size, s.tile);
            scale(x + n * size);
            queries[n] = x + n * size;
            out[n] = query(mixed, token, index);
            froms[n] = from(token);
            tos[n] = pass->past + token + 1;
        }
        std::int64_t at = static_cast<std::int64_t>(head) * paddedLength(length()) * size;
        const float* values = layer->codedCache ? valueRows + at : floats(1, head);
        tilesAttention<N>(keyTiles + at, values, size, froms, tos, queries, out, s);
    }

    void tilesPart(int part) const {
        int perHead = parts / layer->kvHeads;
        int head = part / perHead;
        int all = pass->tokens * group();
        int row = bound(all, part % perHead, perHead);
        int end = bound(all, part % perHead + 1, perHead);
        Arena arena = {static_cast<char*>(threadScratch(scratchBytes()))};
        float* x = arena.take<float>(STEP_QUERIES * static_cast<std::int64_t>(size));
        AttentionScratch s = attentionScratch(arena.next, size, length());
        for (; row + 4 <= end; row += 4) {
            rows<4>(head, row, s, x);
        }
        for (; row < end; row++) {
            rows<1>(head, row, s, x);
        }
    }

    bool byStep() const { return pass->tokens <= STEP_TOKENS; }

    void run(Pool& pool) {
        if (byStep()) {
            pool.run(
                layer->kvHeads,
                [](void* shared, int head) { static_cast<Attention*>(shared)->steps(head); }, this);
            return;
        }
        pool.run(
            layer->kvHeads * tileParts(),
            [](void* shared, int part) { static_cast<Attention*>(shared)->tiles(part); }, this);
        // late tokens see more: many parts even that out
        parts = layer->kvHeads * ((pass->tokens + 31) / 32);
        pool.run(
            parts, [](void* shared, int part) { static_cast<Attention*>(shared)->tilesPart(part); },
            this);
    }
};

NQ_INLINE void add(float* to, const float* from, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i++) {
        to[i] += from[i];
    }
}

/** Buffers of a chunk of tokens. */
struct Buffers {
    Coded coded;
    float* q;
    float* k;
    float* v;
    float* mixed;
    float* keyTiles;
    float* valueRows;
    float* gate;
    float* up;
    float* out;

    static std::int64_t bytes(const Layer& layer, int tokens, int length, bool tiles) {
        return run(layer, tokens, length, tiles, nullptr, nullptr);
    }

    /** Counts the bytes, and takes the buffers where there is an arena. */
    static std::int64_t run(const Layer& layer, int tokens, int length, bool tiles, Arena* arena,
                            Buffers* b) {
        std::int64_t n = tokens;
        std::int64_t queries = n * layer.heads * layer.headSize;
        std::int64_t keys = n * layer.kvHeads * layer.headSize;
        int size = layer.codedCache ? layer.headRotation.padded : layer.headSize;
        std::int64_t tile =
            tiles ? static_cast<std::int64_t>(layer.kvHeads) * paddedLength(length) * size : 0;
        std::int64_t rows = layer.codedCache ? tile : 0;
        std::int64_t inner = n * layer.inner;
        int columns = layer.hiddenRotation.padded;
        columns = layer.mixedRotation.padded > columns ? layer.mixedRotation.padded : columns;
        columns = layer.innerRotation.padded > columns ? layer.innerRotation.padded : columns;
        if (arena != nullptr) {
            b->coded = Coded::take(*arena, tokens, columns);
            b->q = arena->take<float>(queries);
            b->k = arena->take<float>(keys);
            b->v = arena->take<float>(keys);
            b->mixed = arena->take<float>(queries);
            b->keyTiles = arena->take<float>(tile);
            b->valueRows = arena->take<float>(rows);
            b->gate = arena->take<float>(inner);
            b->up = arena->take<float>(inner);
            b->out = arena->take<float>(n * layer.hidden);
        }
        return Coded::bytes(tokens, columns) + 2 * Arena::bytes<float>(queries) +
               2 * Arena::bytes<float>(keys) + Arena::bytes<float>(tile) + Arena::bytes<float>(rows) +
               2 * Arena::bytes<float>(inner) + Arena::bytes<float>(n * layer.hidden);
    }
};

void chunk(Pool& pool, const Layer& layer, const Pass& pass) {
    int n = pass.tokens;
    int bits = layer.activationBits;
    bool tiles = n > STEP_TOKENS;
    Arena arena = {static_cast<char*>(
        callScratch(Buffers::bytes(layer, n, pass.past + n, tiles)))};
    Buffers b;
    Buffers::run(layer, n, pass.past + n, tiles, &arena, &b);

    // attention
    Prepare normed = {&pool, &layer.hiddenRotation,
                      {Source::NORM, pass.h, layer.attentionNorm, layer.hidden, layer.epsilon},
                      bits, b.coded, n, pass.failed, 0};
    normed.run();
    Rows x = b.coded.rows(n, layer.hiddenRotation.padded, bits);
    Products projections = {x, {&layer.query, &layer.key, &layer.value}, {b.q, b.k, b.v}, 3, {}, 0};
    projections.run(pool);
    int size = layer.codedCache ? layer.headRotation.padded : layer.headSize;
    Attention attention = {&layer, &pass, b.q, b.k, b.v, b.mixed, b.keyTiles, b.valueRows, size, 0};
    attention.run(pool);
    Prepare mixed = {&pool, &layer.mixedRotation,
                     {Source::PLAIN, b.mixed, nullptr, layer.heads * layer.headSize, 0},
                     bits, b.coded, n, pass.failed, 0};
    mixed.run();
    x = b.coded.rows(n, layer.mixedRotation.padded, bits);
    Products output = {x, {&layer.output}, {b.out}, 1, {}, 0};
    output.run(pool);
    add(pass.h, b.out, static_cast<std::int64_t>(n) * layer.hidden);

    // feed-forward
    Prepare again = {&pool, &layer.hiddenRotation,
                     {Source::NORM, pass.h, layer.feedForwardNorm, layer.hidden, layer.epsilon},
                     bits, b.coded, n, pass.failed, 0};
    again.run();
    x = b.coded.rows(n, layer.hiddenRotation.padded, bits);
    Products gates = {x, {&layer.gate, &layer.up}, {b.gate, b.up}, 2, {}, 0};
    gates.run(pool);
    Prepare gated = {&pool, &layer.innerRotation, {Source::GATED, b.gate, b.up, layer.inner, 0},
                     bits, b.coded, n, pass.failed, 0};
    gated.run();
    x = b.coded.rows(n, layer.innerRotation.padded, bits);
    Products down = {x, {&layer.down}, {b.out}, 1, {}, 0};
    down.run(pool);
    add(pass.h, b.out, static_cast<std::int64_t>(n) * layer.hidden);
}

}  // namespace

bool runLayer(Pool& pool, const Layer& layer, const Pass& pass) {
    int failed = 0;
    for (int first = 0; first < pass.tokens; first += CHUNK) {
        Pass part = pass;
        part.failed = &failed;
        part.tokens = pass.tokens - first < CHUNK ? pass.tokens - first : CHUNK;
        part.past = pass.past + first;
        part.h = pass.h + static_cast<std::int64_t>(first) * layer.hidden;
        part.cos = pass.cos + static_cast<std::int64_t>(first) * layer.headSize;
        part.sin = pass.sin + static_cast<std::int64_t>(first) * layer.headSize;
        chunk(pool, layer, part);
    }
    return __atomic_load_n(&failed, __ATOMIC_RELAXED) == 0;
}

}  // namespace NQ_LEVEL
}  // namespace nq
