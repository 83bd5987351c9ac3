package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class PerplexityTest {

    /** Log-probabilities are float32, of size about 10: 2^-24 * 10 * 10. */
    private static final double RELATIVE_TOLERANCE = 1e-5;

    private static double perplexity(
            NDManager manager, WindowLogits logits, int batch, TokenWindows windows) {
        return new Perplexity(manager, logits, null, batch).of(windows, n -> {}).perplexity();
    }

    private static void assertClose(double actual, double expected) {
        Assert.assertEquals(actual, expected, expected * RELATIVE_TOLERANCE);
    }

    @Test
    public void modelWithoutOpinionHasTheVocabularyAsPerplexity() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            WindowLogits even = (ids, first) -> ids.getManager().ones(ids.getShape().add(50));
            TokenWindows windows = new TokenWindows(new long[23], 10, 0);
            List<Integer> done = new ArrayList<>();
            Perplexity perplexity = new Perplexity(manager, even, null, 1);
            assertClose(perplexity.of(windows, done::add).perplexity(), 50);
            Assert.assertEquals(done, List.of(1, 2, 3));
            done.clear();
            perplexity = new Perplexity(manager, even, null, 4);
            assertClose(perplexity.of(windows, done::add).perplexity(), 50);
            Assert.assertEquals(done, List.of(2, 3)); // the last window is shorter
        }
    }

    @Test
    public void everyTokenButAWindowsFirstIsPredictedFromTheOneBefore() {
        // logit 2 for the successor of a token, 0 for the other five
        long[] ids = {0, 1, 2, 2, 3, 4};
        double successor = 2 - Math.log(Math.exp(2) + 5);
        double other = -Math.log(Math.exp(2) + 5);
        // windows 0 1 2 | 2 3 4: all four are successors; 0 1 | 2 2 | 3 4: one is not
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            for (int batch = 1; batch < 4; batch++) {
                WindowLogits model = PerplexityTest::successors;
                assertClose(
                        perplexity(manager, model, batch, new TokenWindows(ids, 3, 0)),
                        Math.exp(-successor));
                assertClose(
                        perplexity(manager, model, batch, new TokenWindows(ids, 2, 0)),
                        Math.exp(-(2 * successor + other) / 3));
                // with overlap every token but the first is predicted once
                assertClose(
                        perplexity(manager, model, batch, new TokenWindows(ids, 3, 1, 0)),
                        Math.exp(-(4 * successor + other) / 5));
            }
        }
    }

    private static NDArray successors(NDArray ids, int first) {
        return ids.add(1).oneHot(6).mul(2);
    }

    @Test
    public void largeVocabulariesAreScoredInChunksWithTheSameResult() {
        int vocabulary = 1 << 20; // four rows a chunk
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            WindowLogits even =
                    (ids, first) -> ids.getManager().zeros(ids.getShape().add(vocabulary));
            TokenWindows windows = new TokenWindows(new long[11], 11, 0);
            assertClose(perplexity(manager, even, 1, windows), vocabulary);
        }
    }

    @Test
    public void likelihoodThatIsNotFiniteIsRefused() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            WindowLogits broken =
                    (ids, first) -> ids.getManager().full(ids.getShape().add(5), Float.NaN);
            TokenWindows windows = new TokenWindows(new long[4], 2, 0);
            IllegalStateException e =
                    Assert.expectThrows(
                            IllegalStateException.class,
                            () -> perplexity(manager, broken, 1, windows));
            Assert.assertTrue(e.getMessage().contains("is NaN"), e.getMessage());
        }
    }

    @Test
    public void peakMemoryIsReadFromTheKernelsTable() {
        Assert.assertEquals(
                ProcessMemory.peak(List.of("VmPeak:\t  900 kB", "VmHWM:\t   123456 kB")),
                123456L * 1024);
        Assert.assertEquals(ProcessMemory.peak(List.of("Name:\tjava")), -1);
    }
}
