package ai.djl.nestquant.kernels;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A few daemon threads that share the parts of one job with its caller.
 *
 * <p>A step of a language model runs some 200 jobs of about 100 µs: too short to wake a thread for
 * (tens of µs). Workers therefore look out for the next job for {@link #SPIN_NANOS} before they
 * park, and the caller takes parts itself, so that a job never waits for a sleeping worker. No call
 * allocates.
 *
 * <p>Thread-safe: while one job runs, jobs of other callers run on their own threads alone.
 */
final class WorkerPool {
    /** How long a worker looks out for the next job: about what lies between two products. */
    private static final long SPIN_NANOS = 50_000;

    /** Pauses between two looks at the clock. */
    private static final int PAUSES = 32;

    /** A job: some parts, in any order, on any threads. */
    interface Job {
        /**
         * Does one part.
         *
         * @param part 0 to parts − 1
         */
        void run(int part);
    }

    private final ReentrantLock turn = new ReentrantLock();

    /** Number of the job in the high half, how many of its parts are not yet taken in the low. */
    private final AtomicLong next = new AtomicLong();

    private final AtomicInteger unfinished = new AtomicInteger();
    private volatile Throwable failure;
    private volatile Worker[] workers = {};

    // written before next announces the job, valid as long as a part of it is unfinished
    private Job job;

    /** Returns the number of threads, the caller's included. */
    int threads() {
        return workers.length + 1;
    }

    /**
     * Stops or starts workers.
     *
     * @param threads 1 to {@link Kernels#MAX_THREADS}, the caller's included
     * @throws IllegalArgumentException if the number is out of range
     */
    void setThreads(int threads) {
        if (threads < 1 || threads > Kernels.MAX_THREADS) {
            throw new IllegalArgumentException(
                    "threads must be 1 to " + Kernels.MAX_THREADS + ", got " + threads);
        }
        turn.lock();
        try {
            Worker[] old = workers;
            Worker[] now = new Worker[threads - 1];
            for (int i = 0; i < Math.max(old.length, now.length); i++) {
                if (i >= now.length) {
                    old[i].stop();
                } else if (i < old.length) {
                    now[i] = old[i];
                } else {
                    now[i] = new Worker(i + 1);
                    now[i].thread.start();
                }
            }
            workers = now;
        } finally {
            turn.unlock();
        }
    }

    /**
     * Runs all parts of a job and returns when they are done.
     *
     * @param count number of parts
     * @param work the job
     * @throws RuntimeException or an Error that a part threw; the other parts are done all the same
     */
    void run(int count, Job work) {
        if (count < 2 || workers.length == 0 || turn.isHeldByCurrentThread() || !turn.tryLock()) {
            for (int part = 0; part < count; part++) {
                work.run(part);
            }
            return;
        }
        try {
            share(count, work);
        } finally {
            job = null;
            failure = null;
            turn.unlock();
        }
    }

    private void share(int count, Job work) {
        job = work;
        unfinished.set(count);
        next.set((next.get() >>> 32) + 1 << 32 | count);
        for (Worker worker : workers) {
            worker.wake();
        }
        takeParts();
        for (int pauses = 0; unfinished.get() > 0; pauses++) {
            if (pauses < PAUSES * PAUSES) {
                Thread.onSpinWait();
            } else {
                // a worker has lost its processor to somebody else
                Thread.yield();
            }
        }
        Throwable thrown = failure;
        if (thrown instanceof Error) {
            throw (Error) thrown;
        } else if (thrown != null) {
            throw (RuntimeException) thrown;
        }
    }

    /** Takes parts of the current job until none is left. */
    private void takeParts() {
        while (true) {
            long taken = next.get();
            int left = (int) taken;
            if (left == 0) {
                return;
            }
            // fails if the job has changed since, so a late worker never takes a stale part
            if (next.compareAndSet(taken, taken - 1)) {
                try {
                    job.run(left - 1);
                } catch (RuntimeException | Error e) {
                    failure = e;
                } finally {
                    unfinished.decrementAndGet();
                }
            }
        }
    }

    private final class Worker implements Runnable {
        private final Thread thread;
        private volatile boolean parked;
        private volatile boolean stopped;

        Worker(int number) {
            thread = new Thread(this, "nestquant-kernels-" + number);
            thread.setDaemon(true);
        }

        void wake() {
            if (parked) {
                LockSupport.unpark(thread);
            }
        }

        void stop() {
            stopped = true;
            LockSupport.unpark(thread);
        }

        @Override
        public void run() {
            long seen = -1;
            while (!stopped) {
                long current = next.get() >>> 32;
                if (current == seen) {
                    await(seen);
                } else {
                    seen = current;
                    takeParts();
                }
            }
        }

        private void await(long seen) {
            long start = System.nanoTime();
            while (System.nanoTime() - start < SPIN_NANOS) {
                for (int i = 0; i < PAUSES; i++) {
                    if (next.get() >>> 32 != seen) {
                        return;
                    }
                    Thread.onSpinWait();
                }
            }
            parked = true;
            while (next.get() >>> 32 == seen && !stopped) {
                LockSupport.park(WorkerPool.this);
            }
            parked = false;
        }
    }
}
