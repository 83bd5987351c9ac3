package ai.djl.nestquant.kernels;

import org.testng.SkipException;
import org.testng.annotations.AfterClass;
import org.testng.annotations.Factory;
import org.testng.annotations.Test;

/** The contract for {@link NativeKernels}, for every level that this machine can run. */
@Test
public class NativeEncodingTest extends EncodingContract {
    private final String level;
    private NativeKernels kernels;

    /** Makes the test of one level. */
    @Factory(dataProvider = "levels", dataProviderClass = NativeKernelsTest.class)
    public NativeEncodingTest(String level) {
        this.level = level;
    }

    @Override
    protected Kernels kernels(int threads) {
        if (kernels == null) {
            try {
                kernels = new NativeKernels(level, threads);
            } catch (IllegalStateException e) {
                throw new SkipException(e.getMessage(), e);
            }
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
}
