package ai.djl.nestquant.kernels;

import org.testng.annotations.AfterClass;
import org.testng.annotations.Test;

/** The contract for {@link PortableKernels}. */
@Test
public class PortableEncodingTest extends EncodingContract {
    private final PortableKernels kernels = new PortableKernels(1);

    @Override
    protected Kernels kernels(int threads) {
        kernels.setThreads(threads);
        return kernels;
    }

    /** Stops the workers. */
    @AfterClass
    public void stop() {
        kernels.setThreads(1);
    }
}
