#include <sys/mman.h>

#include <atomic>
#include <cstring>

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

/** The size of x86's large pages, and of aarch64's with pages of 4 kB. */
constexpr std::uintptr_t LARGE_PAGE = 2 << 20;

struct ClearJob {
    static constexpr std::int64_t PART = 4 << 20;

    char* memory;
    std::int64_t bytes;

    void run(int part) const {
        std::int64_t from = part * PART;
        std::int64_t size = bytes - from < PART ? bytes - from : PART;
        std::memset(memory + from, 0, static_cast<std::size_t>(size));
    }
};

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

void takeLargePages(char* memory, std::int64_t bytes) {
#ifdef MADV_HUGEPAGE
    // whole large pages within: what lies around them belongs to others
    std::uintptr_t start = reinterpret_cast<std::uintptr_t>(memory);
    std::uintptr_t first = (start + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    std::uintptr_t end = (start + static_cast<std::uintptr_t>(bytes)) / LARGE_PAGE * LARGE_PAGE;
    if (first < end) {
        // a system without large pages refuses, and all is as it was
        madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
    }
#endif
}

void clear(Context& context, char* memory, std::int64_t bytes) {
    takeLargePages(memory, bytes);
    ClearJob job{memory, bytes};
    context.pool.run(
        static_cast<int>((bytes + ClearJob::PART - 1) / ClearJob::PART),
        [](void* shared, int part) { static_cast<ClearJob*>(shared)->run(part); }, &job);
}

void gather(const void* memory, std::int64_t bytes) {
#if defined(__linux__)
    // since Linux 6.1; older systems refuse it, and so does a mapped file: all is as it was
    constexpr int COLLAPSE = 25;
    std::uintptr_t start = reinterpret_cast<std::uintptr_t>(memory);
    std::uintptr_t end = start + static_cast<std::uintptr_t>(bytes);
    for (std::uintptr_t at = start / LARGE_PAGE * LARGE_PAGE; at < end; at += LARGE_PAGE) {
        madvise(reinterpret_cast<void*>(at), LARGE_PAGE, COLLAPSE);
    }
#endif
}

}  // namespace nq
