package ai.djl.nestquant.kernels;

import ai.djl.nestquant.kernels.StageClock.Stage;
import java.util.concurrent.CountDownLatch;
import org.testng.Assert;
import org.testng.annotations.Test;

@Test(singleThreaded = true)
public class StageClockTest {

    private static void spin(long nanos) {
        long end = System.nanoTime() + nanos;
        while (System.nanoTime() < end) {
            Thread.onSpinWait();
        }
    }

    @Test
    public void withoutAClockNothingIsCountedAndKernelsArePlain() {
        Kernels plain = Kernels.best();
        StageClock.enter(Stage.ROTATION);
        StageClock.leave(Stage.ROTATION);
        try (StageClock clock = StageClock.start()) {
            Assert.assertEquals(clock.seconds(Stage.ROTATION), 0.0);
            Assert.assertNotSame(Kernels.best(), plain);
            Assert.assertEquals(Kernels.best().name(), plain.name());
            Assert.assertThrows(IllegalStateException.class, StageClock::start);
        }
        Assert.assertSame(Kernels.best(), plain);
    }

    @Test
    public void stagesThatNestOrRunOnSeveralThreadsCountOnce() throws InterruptedException {
        long start = System.nanoTime();
        try (StageClock clock = StageClock.start()) {
            CountDownLatch inside = new CountDownLatch(2);
            Runnable work =
                    () -> {
                        StageClock.enter(Stage.ENCODING);
                        StageClock.enter(Stage.ENCODING);
                        inside.countDown();
                        spin(20_000_000);
                        StageClock.leave(Stage.ENCODING);
                        StageClock.leave(Stage.ENCODING);
                    };
            Thread other = new Thread(work);
            other.start();
            work.run();
            inside.await();
            other.join();
            double wall = (System.nanoTime() - start) / 1e9;
            double seconds = clock.seconds(Stage.ENCODING);
            Assert.assertTrue(seconds >= 0.02 && seconds <= wall, seconds + " of " + wall);
            Assert.assertEquals(clock.seconds(Stage.DECODING), 0.0);
            clock.reset();
            Assert.assertEquals(clock.seconds(Stage.ENCODING), 0.0);
        }
    }
}
