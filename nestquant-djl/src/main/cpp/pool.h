#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

namespace nq {

/**
 * A few threads that share the parts of one job with its caller; the twin of WorkerPool.java.
 *
 * A step of a language model runs some hundred jobs of 10 to 100 µs: too short to wake a thread
 * for. Workers therefore look out for the next job for about 50 µs before they sleep, and the
 * caller takes parts itself, so that a job never waits for a sleeping worker.
 *
 * Thread-safe: while one job runs, jobs of other callers run on their own threads alone.
 */
class Pool {
public:
    /** Upper limit of the number of threads. */
    static constexpr int MAX_THREADS = 256;

    /** One part of a job, 0 to parts - 1. */
    using Part = void (*)(void* job, int part);

    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /** Stops all workers; no job may be running. */
    ~Pool();

    /** Returns the number of threads, the caller's included. */
    int threads() const { return 1 + workers.load(std::memory_order_relaxed); }

    /** Returns the number of threads for a job of the calling thread: one within a part. */
    int threadsHere() const;

    /**
     * Stops or starts workers; waits for a running job.
     *
     * Returns the number of threads there are now: fewer than wanted where the system gives no
     * more.
     */
    int setThreads(int threads);

    /** Runs all parts, in any order, and returns when they are done. */
    void run(int parts, Part part, void* job);

private:
    struct Worker {
        Pool* pool;
        pthread_t thread;
        std::atomic<bool> stopped;
    };

    static void* work(void* worker);
    void share(int parts, Part part, void* job);
    void takeParts();
    void await(std::uint32_t seen, const Worker& worker);

    /** Held by the one whose job the workers share. */
    pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

    /** Number of the job in the high half, how many of its parts are not yet taken in the low. */
    alignas(64) std::atomic<std::uint64_t> next{0};
    alignas(64) std::atomic<int> unfinished{0};
    alignas(64) std::atomic<int> sleepers{0};

    // sleeping workers wait for `next` or `stopped` to change
    pthread_mutex_t bed = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t alarm = PTHREAD_COND_INITIALIZER;

    // written before `next` announces the job, valid as long as a part of it is unfinished
    std::atomic<Part> part_{nullptr};
    std::atomic<void*> job_{nullptr};

    std::atomic<int> workers{0};
    Worker* worker_[MAX_THREADS] = {};
};

}  // namespace nq
