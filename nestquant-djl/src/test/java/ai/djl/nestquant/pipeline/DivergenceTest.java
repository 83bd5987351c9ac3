package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import org.testng.Assert;
import org.testng.annotations.Test;

public class DivergenceTest {

    /** Logits are float32 and of size 1 here: a few units of 2^-24. */
    private static final double FLOAT32 = 5e-7;

    private static NDArray logits(NDManager manager, double[][] probabilities) {
        float[] logits = new float[probabilities.length * probabilities[0].length];
        for (int i = 0; i < logits.length; i++) {
            int columns = probabilities[0].length;
            // a constant of each row must not matter
            logits[i] = (float) Math.log(probabilities[i / columns][i % columns]) + i / columns;
        }
        return manager.create(logits, new Shape(1, probabilities.length, probabilities[0].length));
    }

    @Test
    public void divergenceIsTheMeanOverPredictedTokensOfAllWindows() {
        double[] p = {0.5, 0.25, 0.25};
        double[] q = {0.25, 0.5, 0.25};
        double[] r = {0.5, 0.125, 0.375};
        double pq = 0.25 * Math.log(2);
        double pr = 0.25 * Math.log(2) + 0.25 * Math.log(2.0 / 3);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Divergence divergence = new Divergence();
            // the last row of a window predicts nothing
            divergence.add(
                    logits(manager, new double[][] {p, p, p}),
                    logits(manager, new double[][] {q, r, q}));
            divergence.add(
                    logits(manager, new double[][] {p, p}), logits(manager, new double[][] {p, q}));
            Assert.assertEquals(divergence.mean(), (pq + pr) / 3, FLOAT32);
            Assert.assertEquals(divergence.top1Agreement(), 2.0 / 3);
        }
    }

    @Test
    public void largeVocabulariesAreComparedInChunksWithTheSameResult() {
        int vocabulary = 1 << 20; // two rows a chunk
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray even = manager.zeros(new Shape(1, 6, vocabulary));
            NDArray half = even.duplicate();
            half.get(0).transpose().get("0:524288").addi(Math.log(3));
            Divergence divergence = new Divergence();
            divergence.add(even, half);
            // 1 / V against 1.5 / V and 0.5 / V
            Assert.assertEquals(divergence.mean(), -0.5 * Math.log(0.75), FLOAT32);
        }
    }

    @Test
    public void divergenceThatIsNotFiniteIsRefused() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray damaged = manager.full(new Shape(1, 3, 5), Float.NaN);
            IllegalStateException e =
                    Assert.expectThrows(
                            IllegalStateException.class,
                            () -> new Divergence().add(damaged, damaged));
            Assert.assertTrue(e.getMessage().contains("NaN"), e.getMessage());
        }
    }
}
