package ai.djl.nestquant.kernels;

import java.util.concurrent.atomic.AtomicIntegerArray;
import org.testng.Assert;
import org.testng.annotations.Test;

public class WorkerPoolTest {
    @Test
    public void everyPartRunsExactlyOnce() {
        WorkerPool pool = new WorkerPool();
        for (int threads : new int[] {1, 4, 2, 3}) {
            pool.setThreads(threads);
            for (int job = 0; job < 2000; job++) {
                int parts = job % 11;
                AtomicIntegerArray runs = new AtomicIntegerArray(parts + 1);
                pool.run(parts, runs::incrementAndGet);
                for (int part = 0; part <= parts; part++) {
                    Assert.assertEquals(runs.get(part), part < parts ? 1 : 0);
                }
            }
        }
        pool.setThreads(1);
    }

    @Test
    public void workersThatSleepAreWoken() throws InterruptedException {
        WorkerPool pool = new WorkerPool();
        pool.setThreads(2);
        for (int job = 0; job < 20; job++) {
            Thread.sleep(2);
            Thread[] threads = new Thread[2];
            AtomicIntegerArray met = new AtomicIntegerArray(1);
            // each part waits for the other, so one thread alone would never finish
            pool.run(
                    2,
                    part -> {
                        threads[part] = Thread.currentThread();
                        met.incrementAndGet(0);
                        while (met.get(0) < 2) {
                            Thread.onSpinWait();
                        }
                    });
            Assert.assertNotSame(threads[0], threads[1]);
        }
        pool.setThreads(1);
    }

    @Test
    public void jobsOfManyCallersAndJobsWithinJobsFinish() throws InterruptedException {
        WorkerPool pool = new WorkerPool();
        pool.setThreads(3);
        AtomicIntegerArray runs = new AtomicIntegerArray(1);
        Thread[] callers = new Thread[4];
        for (int i = 0; i < callers.length; i++) {
            callers[i] =
                    new Thread(
                            () -> {
                                for (int job = 0; job < 300; job++) {
                                    pool.run(
                                            4,
                                            part -> pool.run(2, inner -> runs.incrementAndGet(0)));
                                }
                            });
            callers[i].start();
        }
        for (Thread caller : callers) {
            caller.join();
        }
        Assert.assertEquals(runs.get(0), 4 * 300 * 4 * 2);
        pool.setThreads(1);
    }

    @Test
    public void whatAPartThrowsReachesTheCaller() {
        WorkerPool pool = new WorkerPool();
        pool.setThreads(2);
        for (int failing = 0; failing < 4; failing++) {
            int wrong = failing;
            IllegalStateException thrown =
                    Assert.expectThrows(
                            IllegalStateException.class,
                            () ->
                                    pool.run(
                                            4,
                                            part -> {
                                                if (part == wrong) {
                                                    throw new IllegalStateException("part " + part);
                                                }
                                            }));
            Assert.assertEquals(thrown.getMessage(), "part " + wrong);
        }
        pool.run(4, part -> {});
        pool.setThreads(1);
    }

    @Test
    public void numbersOfThreadsOutOfRangeAreRefused() {
        WorkerPool pool = new WorkerPool();
        for (int threads : new int[] {-1, 0, Kernels.MAX_THREADS + 1}) {
            IllegalArgumentException refused =
                    Assert.expectThrows(
                            IllegalArgumentException.class, () -> pool.setThreads(threads));
            Assert.assertTrue(refused.getMessage().contains("" + threads));
        }
    }
}
