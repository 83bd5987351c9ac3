package ai.djl.nestquant.kernels;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Factory;
import org.testng.annotations.Test;

/** The contract for {@link NativeKernels}, for every level that this machine can run. */
@Test
public class NativeKernelsTest extends KernelsContract {
    private static final long SEED = 6;

    private final String level;
    private NativeKernels kernels;

    /** Makes the test of one level. */
    @Factory(dataProvider = "levels")
    public NativeKernelsTest(String level) {
        this.level = level;
    }

    /** The levels of all processors. */
    @DataProvider
    public static Object[][] levels() {
        return new Object[][] {{"avx512"}, {"avx2"}, {"baseline"}};
    }

    @Override
    protected NativeKernels kernels(int threads) {
        if (kernels == null) {
            kernels = open(level);
        }
        kernels.setThreads(threads);
        return kernels;
    }

    /** Stops the workers. */
    @AfterClass(alwaysRun = true)
    public void stop() {
        if (kernels != null) {
            kernels.close();
        }
    }

    @Test
    public void forcedLevelsAreTheOnesThatRun() {
        Assert.assertEquals(kernels(1).name(), level);
        try (NativeKernels made = (NativeKernels) KernelChoice.make(level, 1)) {
            Assert.assertEquals(made.name(), level);
        }
    }

    @Test
    public void everyPartRunsExactlyOnce() throws InterruptedException {
        NativeKernels k = kernels(1);
        for (int threads : new int[] {1, 4, 2, 3}) {
            k.setThreads(threads);
            for (int job = 0; job < 3000; job++) {
                long parts = job % 11;
                Assert.assertEquals(k.sumOfParts((int) parts), parts * (parts + 1) / 2);
                if (job % 500 == 0) {
                    Thread.sleep(2); // workers fall asleep
                }
            }
        }
    }

    @Test
    public void jobsOfManyCallersFinish() throws InterruptedException {
        NativeKernels k = kernels(3);
        List<Thread> callers = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Thread caller =
                    new Thread(
                            () -> {
                                for (int job = 0; job < 2000; job++) {
                                    Assert.assertEquals(k.sumOfParts(20), 210);
                                }
                            });
            caller.setUncaughtExceptionHandler((thread, failure) -> failures.add(failure));
            caller.start();
            callers.add(caller);
        }
        for (int threads = 1; threads < 6; threads++) {
            k.setThreads(threads);
        }
        for (Thread caller : callers) {
            caller.join();
        }
        Assert.assertEquals(failures, List.of());
    }

    @Test
    public void closedKernelsSaySo() throws IOException {
        NativeKernels closed = open(level);
        closed.close();
        closed.close();
        Assert.assertThrows(IllegalStateException.class, closed::threads);
    }

    private static NativeKernels open(String level) {
        try {
            return new NativeKernels(level, 1);
        } catch (IllegalStateException e) {
            throw new SkipException(e.getMessage(), e);
        }
    }
}
