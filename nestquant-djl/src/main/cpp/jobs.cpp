#include "jobs.h"

#include <cstdio>
#include <cstdlib>

namespace nq {

float rowScalePowers[256];

namespace {

/** Parts per thread: a thread that was interrupted leaves its rest to the others. */
constexpr int PARTS = 4;

/** Tiles of a part are multiples of what kernels take at once. */
constexpr int TILES = 4;

struct Scratch {
    void* bytes = nullptr;
    std::int64_t size = 0;

    ~Scratch() { std::free(bytes); }
};

thread_local Scratch scratch;
thread_local Scratch outer;

void* reserve(Scratch& scratch, std::int64_t bytes) {
    if (scratch.size < bytes) {
        std::free(scratch.bytes);
        scratch.size = (bytes + 4095) / 4096 * 4096;
        if (posix_memalign(&scratch.bytes, 4096, static_cast<std::size_t>(scratch.size)) != 0) {
            std::fprintf(stderr, "nestquant: no memory for %lld bytes of scratch\n",
                         static_cast<long long>(bytes));
            std::abort();
        }
    }
    return scratch.bytes;
}

struct Job {
    const Level* level;
    const Matrix* w;
    const Rows* x;
    float* y;
    std::int64_t scratchBytes;
    int parts;
    int from;
    int to;
    Shares shares;
};

/** First unit of a part, in multiples of `step` but for the end. */
int bound(int units, int step, int part, int parts) {
    std::int64_t steps = (units + step - 1) / step;
    std::int64_t at = steps * part / parts * step;
    return static_cast<int>(at < units ? at : units);
}

int partsOf(Context& context, int units, int step) {
    int threads = context.pool.threads();
    int most = (units + step - 1) / step;
    int wanted = threads == 1 ? 1 : PARTS * threads;
    return wanted < most ? wanted : most;
}

}  // namespace

void* threadScratch(std::int64_t bytes) {
    return reserve(scratch, bytes);
}

void* callScratch(std::int64_t bytes) {
    return reserve(outer, bytes);
}

Matrix matrix(int code, int rows, int columns, std::int64_t words, std::int64_t betas,
              std::int64_t scales, float tensorScale) {
    return {static_cast<Code>(code),
            rows,
            columns,
            reinterpret_cast<const std::int32_t*>(words),
            reinterpret_cast<const std::uint8_t*>(betas),
            reinterpret_cast<const float*>(scales),
            reinterpret_cast<const std::uint8_t*>(scales),
            rowScalePowers,
            tensorScale};
}

void multiply(Context& context, const Matrix& w, const Rows& x, float* y) {
    if (x.rows == 0) {
        return;
    }
    Shares shares = {(w.tiles() + TILES - 1) / TILES, context.pool.threads()};
    Job job = {context.level, &w, &x, y, context.level->scratchBytes(w, x), shares.count(), 0, 0, shares};
    context.pool.run(
        job.parts,
        [](void* shared, int part) {
            const Job& j = *static_cast<Job*>(shared);
            part = j.parts - 1 - part; // the pool begins with the last
            int end = TILES * j.shares.start(part + 1);
            j.level->multiply(*j.w, *j.x, TILES * j.shares.start(part),
                              end < j.w->tiles() ? end : j.w->tiles(), j.y,
                              threadScratch(j.scratchBytes));
        },
        &job);
}

void decodeRows(Context& context, const Matrix& w, int from, int to, float* panel) {
    Rows none = {0, w.columns, nullptr, nullptr, nullptr};
    Job job = {context.level, &w, nullptr, panel, context.level->scratchBytes(w, none), 0, from, to, {}};
    job.parts = partsOf(context, to - from, 16);
    context.pool.run(
        job.parts,
        [](void* shared, int part) {
            const Job& j = *static_cast<Job*>(shared);
            int first = j.from + bound(j.to - j.from, 16, part, j.parts);
            int last = j.from + bound(j.to - j.from, 16, part + 1, j.parts);
            j.level->decodeRows(*j.w, first, last,
                                j.y + static_cast<std::int64_t>(first - j.from) * j.w->columns,
                                threadScratch(j.scratchBytes));
        },
        &job);
}

void readStored(Context& context, const StoredTiles& s, int tiles, std::int32_t* words,
                std::uint8_t* betas) {
    struct Reading {
        const Level* level;
        const StoredTiles& s;
        std::int32_t* words;
        std::uint8_t* betas;
    } job = {context.level, s, words, betas};
    context.pool.run(
        tiles,
        [](void* shared, int tile) {
            const Reading& j = *static_cast<Reading*>(shared);
            j.level->readStored(j.s, tile, j.words, j.betas);
        },
        &job);
}

}  // namespace nq
