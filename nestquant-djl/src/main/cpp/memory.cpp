#include <atomic>

#include "jobs.h"

namespace nq {
namespace {

/** Parts per thread, see jobs.cpp. */
constexpr int PARTS = 4;

struct SumJob {
    const std::uint64_t* words;
    std::int64_t count;
    int parts;
    std::atomic<std::uint64_t> sum;
};

/** Four sums, so that additions do not wait for each other. */
std::uint64_t sumWords(const std::uint64_t* words, std::int64_t count) {
    std::uint64_t a = 0, b = 0, c = 0, d = 0;
    std::int64_t i = 0;
    for (; i < count - 7; i += 8) {
        a += words[i] + words[i + 1];
        b += words[i + 2] + words[i + 3];
        c += words[i + 4] + words[i + 5];
        d += words[i + 6] + words[i + 7];
    }
    for (; i < count; i++) {
        a += words[i];
    }
    return a + b + c + d;
}

}  // namespace

std::uint64_t sumWords(Context& context, const std::uint64_t* words, std::int64_t count) {
    SumJob job{words, count, PARTS * context.pool.threads(), {0}};
    context.pool.run(
        job.parts,
        [](void* shared, int part) {
            SumJob& j = *static_cast<SumJob*>(shared);
            std::int64_t from = j.count * part / j.parts;
            std::int64_t to = j.count * (part + 1) / j.parts;
            j.sum.fetch_add(sumWords(j.words + from, to - from));
        },
        &job);
    return job.sum.load();
}

}  // namespace nq
