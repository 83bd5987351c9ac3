package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class PerplexityTest {

    /** Log-probabilities are float32, of size about 10: 2^-24 * 10 * 10. */
    private static final double RELATIVE_TOLERANCE = 1e-5;

    private static void assertClose(double actual, double expected) {
        Assert.assertEquals(actual, expected, expected * RELATIVE_TOLERANCE);
    }

    @Test
    public void modelWithoutOpinionHasTheVocabularyAsPerplexity() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Perplexity perplexity =
                    new Perplexity(
                            manager,
                            ids -> ids.getManager().ones(new Shape(1, ids.getShape().get(1), 50)));
            TokenWindows windows = new TokenWindows(new long[23], 10, 0);
            List<Integer> done = new ArrayList<>();
            assertClose(perplexity.of(windows, done::add), 50);
            Assert.assertEquals(done, List.of(1, 2, 3));
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
            Perplexity perplexity = new Perplexity(manager, PerplexityTest::successors);
            assertClose(perplexity.of(new TokenWindows(ids, 3, 0), n -> {}), Math.exp(-successor));
            assertClose(
                    perplexity.of(new TokenWindows(ids, 2, 0), n -> {}),
                    Math.exp(-(2 * successor + other) / 3));
        }
    }

    private static NDArray successors(NDArray ids) {
        return ids.add(1).oneHot(6).mul(2);
    }

    @Test
    public void largeVocabulariesAreScoredInChunksWithTheSameResult() {
        int vocabulary = 1 << 20; // four rows a chunk
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Perplexity perplexity =
                    new Perplexity(
                            manager,
                            ids ->
                                    ids.getManager()
                                            .zeros(
                                                    new Shape(
                                                            1, ids.getShape().get(1), vocabulary)));
            assertClose(perplexity.of(new TokenWindows(new long[11], 11, 0), n -> {}), vocabulary);
        }
    }

    @Test
    public void likelihoodThatIsNotFiniteIsRefusedNamingTheWindow() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Perplexity perplexity =
                    new Perplexity(
                            manager,
                            ids ->
                                    ids.getManager()
                                            .full(
                                                    new Shape(1, ids.getShape().get(1), 5),
                                                    Float.NaN));
            IllegalStateException e =
                    Assert.expectThrows(
                            IllegalStateException.class,
                            () -> perplexity.of(new TokenWindows(new long[4], 2, 0), n -> {}));
            Assert.assertTrue(e.getMessage().contains("window 0 is NaN"), e.getMessage());
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
