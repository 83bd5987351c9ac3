#include "attention.h"
#include "encode.h"
#include "rotate.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

/** Tiles of a part of a product are multiples of what the kernels take at once. */
constexpr int TILES = 4;

/** Parts per thread: a thread that was interrupted leaves its rest to the others. */
constexpr int PARTS = 6;

/** Up to this many tokens attend one by one, straight from the cache. */
constexpr int STEP_TOKENS = 4;

/** Tokens of a pass through the layer: bounds its scratch. */
constexpr int CHUNK = 512;

/** Exponents of row scales tried to each side: for activations, codec.RowEncoder.SCALE_WINDOW. */
constexpr int ACTIVATION_WINDOW = 2;
constexpr int CACHE_WINDOW = 3;

NQ_INLINE int bound(int units, int part, int parts) {
    return static_cast<int>(static_cast<std::int64_t>(units) * part / parts);
}

/** Memory in pieces, 64-byte aligned. */
struct Arena {
    char* next;

    template <typename T>
    T* take(std::int64_t count) {
        T* piece = reinterpret_cast<T*>(next);
        next += bytes<T>(count);
        return piece;
    }

    template <typename T>
    static std::int64_t bytes(std::int64_t count) {
        return (count * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64;
    }
};

/** Integers of tokens as kernels multiply them, with room for `tokens` of `columns`. */
struct Coded {
    std::int8_t* high;
    std::int8_t* low;
    float* scales;

    static std::int64_t bytes(int tokens, int columns) {
        std::int64_t entries = static_cast<std::int64_t>(tokens) * columns;
        return 2 * Arena::bytes<std::int8_t>(entries) + Arena::bytes<float>(tokens);
    }

    static Coded take(Arena& arena, int tokens, int columns) {
        std::int64_t entries = static_cast<std::int64_t>(tokens) * columns;
        return {arena.take<std::int8_t>(entries), arena.take<std::int8_t>(entries),
                arena.take<float>(tokens)};
    }

    Rows rows(int tokens, int columns, int bits) const {
        return {tokens, columns, high, bits == 16 ? low : nullptr, scales};
    }
};

/** Rounds a row to 8 or 16 bits, codec.Int8Rows.round. */
void roundRow(const float* x, int n, int bits, std::int8_t* high, std::int8_t* low, float* scale) {
    Floats largest = {};
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        Lanes size = load(x + i) & 0x7FFFFFFF;
        Lanes larger = (Lanes)((Floats)size > largest);
        largest = (Floats)((size & larger) | ((Lanes)largest & ~larger));
    }
    float lanes[16];
    storeFloats(lanes, largest);
    float max = 0;
    for (int j = 0; j < 16; j++) {
        max = lanes[j] > max ? lanes[j] : max;
    }
    for (; i < n; i++) {
        float size = __builtin_fabsf(x[i]);
        max = size > max ? size : max;
    }
    float top = bits == 8 ? 127.0f : 32639.0f;
    float factor = max < 1e-30f ? 0 : top / max;
    *scale = max < 1e-30f ? 0 : max / top;
    // adding 1.5·2^23 rounds to the nearest, even on ties, as rint does
    if (bits == 8) {
        for (i = 0; i < n; i++) {
            float v = x[i] * factor + 12582912.0f;
            std::int32_t q;
            std::memcpy(&q, &v, sizeof q);
            high[i] = static_cast<std::int8_t>(q);
        }
        return;
    }
    for (i = 0; i < n; i++) {
        float v = x[i] * factor + 12582912.0f;
        std::int32_t q;
        std::memcpy(&q, &v, sizeof q);
        high[i] = static_cast<std::int8_t>(((q & 0x3FFFFF) + 128) >> 8);
        low[i] = static_cast<std::int8_t>(q);
    }
}

/** Where the input of a product comes from. */
struct Source {
    enum Kind { NORM, PLAIN, GATED } kind;

    /** Rows [tokens][n]: the hidden state, mixed values, or gates. */
    const float* x;

    /** γ of the norm, or the rows that gates are multiplied with. */
    const float* other;
    int n;
};

/** Rotates and codes the inputs of a product, tokens in parallel. */
struct Prepare {
    Pool* pool;
    const Layer* layer;
    const Rotation* rotation;
    Source source;
    Coded to;
    int tokens;
    int* failed;
    int parts;

    void token(int t, void* scratch) const {
        const Rotation& r = *rotation;
        Arena arena = {static_cast<char*>(scratch)};
        float* x = arena.take<float>(r.padded);
        float* work = arena.take<float>(r.padded);
        const float* from = source.x + static_cast<std::int64_t>(t) * source.n;
        if (source.kind == Source::NORM) {
            rmsNorm(from, source.other, layer->epsilon, source.n, x);
        } else if (source.kind == Source::GATED) {
            swiGlu(from, source.other + static_cast<std::int64_t>(t) * source.n, source.n, x);
        } else {
            std::memcpy(x, from, sizeof(float) * static_cast<std::size_t>(source.n));
        }
        for (int i = source.n; i < r.padded; i++) {
            x[i] = 0;
        }
        rotate(r, x, work);
        std::int64_t at = static_cast<std::int64_t>(t) * r.padded;
        if (layer->activationBits != 4) {
            roundRow(x, r.padded, layer->activationBits, to.high + at, to.low + at, to.scales + t);
            return;
        }
        // the workers help with a single token
        if (!encodeVector(*pool, latticeCode(E8_16), ACTIVATION_WINDOW, x, r.padded, arena.next,
                          to.high + at, to.scales + t)) {
            __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
            std::memset(to.high + at, 0, static_cast<std::size_t>(r.padded));
            to.scales[t] = 0;
        }
    }

    std::int64_t scratchBytes() const {
        return 2 * Arena::bytes<float>(rotation->padded) + encodeBytes(rotation->padded);
    }

    void run() {
        parts = tokens == 1 ? 1 : PARTS * pool->threads();
        parts = parts < tokens ? parts : tokens;
        pool->run(
            parts,
            [](void* shared, int part) {
                const Prepare& p = *static_cast<Prepare*>(shared);
                void* scratch = threadScratch(p.scratchBytes());
                for (int t = bound(p.tokens, part, p.parts); t < bound(p.tokens, part + 1, p.parts);
                     t++) {
                    p.token(t, scratch);
                }
            },
            this);
    }
};

/** Products of one input with up to three matrices. */
struct Products {
    Rows x;
    const Linear* linear[3];
    float* y[3];
    int count;
    Shares shares;
    int parts;

    void part(int part) const {
        int from = shares.start(part);
        int to = shares.start(part + 1);
        for (int i = 0; i < count; i++) {
            int first = from < 0 ? 0 : from;
            int last = to < steps(i) ? to : steps(i);
            if (first < last) {
                const Matrix& w = linear[i]->w;
                int end = last * TILES < w.tiles() ? last * TILES : w.tiles();
                multiply(w, x, first * TILES, end, y[i], threadScratch(scratchBytes(w, x)));
                addBias(i, first * TILES * ROWS, end * ROWS);
            }
            from -= steps(i);
            to -= steps(i);
        }
    }

    int steps(int i) const { return (linear[i]->w.tiles() + TILES - 1) / TILES; }

    void addBias(int i, int from, int to) const {
        int rows = linear[i]->w.rows;
        to = to < rows ? to : rows;
        for (int t = 0; linear[i]->bias != nullptr && t < x.rows; t++) {
            float* out = y[i] + static_cast<std::int64_t>(t) * rows;
            for (int r = from; r < to; r++) {
                out[r] += linear[i]->bias[r];
            }
        }
    }

    void run(Pool& pool) {
        shares = {0, pool.threads()};
        for (int i = 0; i < count; i++) {
            shares.units += steps(i);
        }
        parts = shares.count();
        pool.run(
            parts,
            [](void* shared, int part) {
                const Products& p = *static_cast<Products*>(shared);
                p.part(p.parts - 1 - part); // the pool begins with the last
            },
            this);
    }
};

/** Queries, keys and values of the new tokens, [tokens][heads][size]; attention over the cache. */
struct Attention {
    const Layer* layer;
    const Pass* pass;
    float* q;
    float* k;
    float* v;
    float* mixed;

    /** Tiles of all keys and values, [kvHeads][length/16][size][16], for many tokens. */
    float* keyTiles;
    float* valueTiles;

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

    /** Appends a key-value head's new tokens to the cache. */
    void append(int head, void* bytes) const {
        Arena arena = {static_cast<char*>(bytes)};
        float* x = arena.take<float>(size);
        float* work = arena.take<float>(size);
        int n = layer->headSize;
        for (int t = 0; t < pass->tokens; t++) {
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
        packRow(to, head * pass->capacity + position % pass->capacity, row);
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
        append(head, arena.next);
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

    /** Appends a head's new tokens and makes tiles of all its keys and values. */
    void tiles(int head) const {
        void* scratch = threadScratch(scratchBytes());
        append(head, scratch);
        AttentionScratch s = attentionScratch(scratch, size, length());
        int end = paddedLength(length());
        int first = from(0) / ROWS * ROWS;
        for (int t = first; t < end; t += ROWS) {
            std::int64_t at = (static_cast<std::int64_t>(head) * end + t) * size;
            if (layer->codedCache) {
                decodeTileFloats(codedTile(*layer, *pass, 0, head, t), s.ints, keyTiles + at);
                decodeTileFloats(codedTile(*layer, *pass, 1, head, t), s.ints, valueTiles + at);
            } else {
                std::int64_t row = static_cast<std::int64_t>(head) * pass->capacity + t;
                int count = length() - t < ROWS ? length() - t : ROWS;
                const float* keys = reinterpret_cast<const float*>(pass->slots[0]);
                const float* values = reinterpret_cast<const float*>(pass->slots[1]);
                transposeTile(keys + row * size, size, count, keyTiles + at);
                transposeTile(values + row * size, size, count, valueTiles + at);
            }
        }
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
        tilesAttention<N>(keyTiles + at, valueTiles + at, size, froms, tos, queries, out, s);
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
            layer->kvHeads,
            [](void* shared, int head) { static_cast<Attention*>(shared)->tiles(head); }, this);
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
    float* valueTiles;
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
            b->valueTiles = arena->take<float>(tile);
            b->gate = arena->take<float>(inner);
            b->up = arena->take<float>(inner);
            b->out = arena->take<float>(n * layer.hidden);
        }
        return Coded::bytes(tokens, columns) + 2 * Arena::bytes<float>(queries) +
               2 * Arena::bytes<float>(keys) + 2 * Arena::bytes<float>(tile) +
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
    Prepare normed = {&pool, &layer, &layer.hiddenRotation,
                      {Source::NORM, pass.h, layer.attentionNorm, layer.hidden}, b.coded, n, pass.failed, 0};
    normed.run();
    Rows x = b.coded.rows(n, layer.hiddenRotation.padded, bits);
    Products projections = {x, {&layer.query, &layer.key, &layer.value}, {b.q, b.k, b.v}, 3, {}, 0};
    projections.run(pool);
    int size = layer.codedCache ? layer.headRotation.padded : layer.headSize;
    Attention attention = {&layer, &pass, b.q, b.k, b.v, b.mixed, b.keyTiles, b.valueTiles, size, 0};
    attention.run(pool);
    Prepare mixed = {&pool, &layer, &layer.mixedRotation,
                     {Source::PLAIN, b.mixed, nullptr, layer.heads * layer.headSize}, b.coded, n, pass.failed, 0};
    mixed.run();
    x = b.coded.rows(n, layer.mixedRotation.padded, bits);
    Products output = {x, {&layer.output}, {b.out}, 1, {}, 0};
    output.run(pool);
    add(pass.h, b.out, static_cast<std::int64_t>(n) * layer.hidden);

    // feed-forward
    Prepare again = {&pool, &layer, &layer.hiddenRotation,
                     {Source::NORM, pass.h, layer.feedForwardNorm, layer.hidden}, b.coded, n, pass.failed, 0};
    again.run();
    x = b.coded.rows(n, layer.hiddenRotation.padded, bits);
    Products gates = {x, {&layer.gate, &layer.up}, {b.gate, b.up}, 2, {}, 0};
    gates.run(pool);
    Prepare gated = {&pool, &layer, &layer.innerRotation, {Source::GATED, b.gate, b.up, layer.inner},
                     b.coded, n, pass.failed, 0};
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
