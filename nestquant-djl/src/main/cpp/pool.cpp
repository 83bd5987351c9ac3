#include "pool.h"

#include <sched.h>
#include <time.h>

#include <new>

namespace nq {
namespace {

/** How long a worker looks out for the next job: about what lies between two products. */
constexpr std::int64_t SPIN_NANOS = 50000;

/** Pauses between two looks at the clock. */
constexpr int PAUSES = 32;

/** Whether this thread runs a part: a job within it runs on this thread alone. */
thread_local bool inPart = false;

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

std::int64_t nanos() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * std::int64_t{1000000000} + now.tv_nsec;
}

std::uint32_t jobOf(std::uint64_t next) {
    return static_cast<std::uint32_t>(next >> 32);
}

}  // namespace

Pool::~Pool() {
    setThreads(1);
}

int Pool::setThreads(int threads) {
    pthread_mutex_lock(&turn);
    int wanted = (threads > MAX_THREADS ? MAX_THREADS : threads < 1 ? 1 : threads) - 1;
    int count = workers.load(std::memory_order_relaxed);
    for (; count > wanted; count--) {
        Worker* worker = worker_[count - 1];
        pthread_mutex_lock(&bed);
        worker->stopped.store(true);
        pthread_cond_broadcast(&alarm);
        pthread_mutex_unlock(&bed);
        pthread_join(worker->thread, nullptr);
        delete worker;
    }
    for (; count < wanted; count++) {
        Worker* worker = new (std::nothrow) Worker{this, {}, {false}};
        if (worker == nullptr || pthread_create(&worker->thread, nullptr, work, worker) != 0) {
            delete worker;
            break;
        }
        worker_[count] = worker;
    }
    workers.store(count, std::memory_order_relaxed);
    pthread_mutex_unlock(&turn);
    return count + 1;
}

int Pool::threadsHere() const {
    return inPart ? 1 : threads();
}

void Pool::run(int parts, Part part, void* job) {
    bool alone = parts < 2 || threadsHere() == 1;
    if (!alone && pthread_mutex_trylock(&turn) == 0) {
        share(parts, part, job);
        pthread_mutex_unlock(&turn);
        return;
    }
    for (int i = 0; i < parts; i++) {
        part(job, i);
    }
}

void Pool::share(int parts, Part part, void* job) {
    part_.store(part, std::memory_order_relaxed);
    job_.store(job, std::memory_order_relaxed);
    unfinished.store(parts, std::memory_order_relaxed);
    std::uint64_t number = jobOf(next.load(std::memory_order_relaxed)) + std::uint64_t{1};
    // sequentially consistent, as in await: either this sees the sleeper or the sleeper the job
    next.store(number << 32 | static_cast<std::uint32_t>(parts));
    if (sleepers.load() > 0) {
        pthread_mutex_lock(&bed);
        pthread_cond_broadcast(&alarm);
        pthread_mutex_unlock(&bed);
    }
    takeParts();
    for (int pauses = 0; unfinished.load(std::memory_order_acquire) > 0; pauses++) {
        if (pauses < PAUSES * PAUSES) {
            pause();
        } else {
            // a worker has lost its processor to somebody else
            sched_yield();
        }
    }
}

/** Takes parts of the current job until none is left. */
void Pool::takeParts() {
    inPart = true;
    std::uint64_t taken = next.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(taken) != 0) {
        // fails if the job has changed since, so a late worker never takes a stale part
        if (next.compare_exchange_weak(
                taken, taken - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
            Part part = part_.load(std::memory_order_relaxed);
            void* job = job_.load(std::memory_order_relaxed);
            part(job, static_cast<int>(static_cast<std::uint32_t>(taken)) - 1);
            unfinished.fetch_sub(1, std::memory_order_acq_rel);
            taken = next.load(std::memory_order_acquire);
        }
    }
    inPart = false;
}

void* Pool::work(void* argument) {
    Worker* worker = static_cast<Worker*>(argument);
    Pool& pool = *worker->pool;
    std::uint32_t seen = jobOf(pool.next.load()) - 1;
    while (!worker->stopped.load(std::memory_order_relaxed)) {
        std::uint32_t current = jobOf(pool.next.load(std::memory_order_acquire));
        if (current == seen) {
            pool.await(seen, *worker);
        } else {
            seen = current;
            pool.takeParts();
        }
    }
    return nullptr;
}

/** Returns when there may be a new job, or the worker has been stopped. */
void Pool::await(std::uint32_t seen, const Worker& worker) {
    std::int64_t start = nanos();
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (jobOf(next.load(std::memory_order_relaxed)) != seen || worker.stopped.load()) {
                return;
            }
            pause();
        }
    } while (nanos() - start < SPIN_NANOS);
    pthread_mutex_lock(&bed);
    sleepers.fetch_add(1);
    while (jobOf(next.load()) == seen && !worker.stopped.load()) {
        pthread_cond_wait(&alarm, &bed);
    }
    sleepers.fetch_sub(1);
    pthread_mutex_unlock(&bed);
}

}  // namespace nq
