package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import org.testng.Assert;
import org.testng.annotations.Test;

public class TextScoreTest {

    /** Logits are float32 and of size 1 here: a few units of 2^-24. */
    private static final double FLOAT32 = 5e-7;

    private static NDArray logits(NDManager manager, double[]... probabilities) {
        float[] logits = new float[probabilities.length * probabilities[0].length];
        for (int i = 0; i < logits.length; i++) {
            int columns = probabilities[0].length;
            // a constant of each row must not matter
            logits[i] = (float) Math.log(probabilities[i / columns][i % columns]) + i / columns;
        }
        return manager.create(logits, new Shape(probabilities.length, probabilities[0].length));
    }

    @Test
    public void scoresAreMeansOverPredictedTokensOfAllWindows() {
        double[] p = {0.5, 0.25, 0.25};
        double[] q = {0.25, 0.5, 0.25};
        double[] r = {0.5, 0.125, 0.375};
        double pq = 0.25 * Math.log(2);
        double pr = 0.25 * Math.log(2) + 0.25 * Math.log(2.0 / 3);
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            TextScore score = new TextScore();
            // the last row of a window predicts nothing
            score.add(new long[] {0, 1, 2}, 1, logits(manager, q, r, q), logits(manager, p, p, p));
            score.add(new long[] {0, 0}, 1, logits(manager, p, q), logits(manager, p, p));
            Assert.assertEquals(score.meanDivergence(), (pq + pr) / 3, FLOAT32);
            Assert.assertEquals(score.top1Agreement(), 2.0 / 3);
            double own = Math.pow(0.5 * 0.375 * 0.5, -1.0 / 3);
            double reference = Math.pow(0.25 * 0.25 * 0.5, -1.0 / 3);
            Assert.assertEquals(score.perplexity(), own, own * FLOAT32);
            PairedReport paired = score.paired();
            Assert.assertEquals(paired.referencePerplexity(), reference, reference * FLOAT32);
            Assert.assertEquals(paired.gap(), own - reference, own * 2 * FLOAT32);
            Assert.assertEquals(paired.batches(), 2);
            Assert.assertNull(paired.gapLow());
        }
    }

    @Test
    public void onlyTokensFromTheFirstPredictedOneOnCount() {
        double[] p = {0.5, 0.25, 0.25};
        double[] q = {0.25, 0.5, 0.25};
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            TextScore score = new TextScore();
            score.add(new long[] {0, 0, 0, 1}, 3, logits(manager, p, p, q, p), null);
            Assert.assertEquals(score.perplexity(), 2, 2 * FLOAT32);
            Assert.assertNull(score.meanDivergence());
            Assert.assertNull(score.paired());
        }
    }

    @Test
    public void largeVocabulariesAreComparedInChunksWithTheSameResult() {
        int vocabulary = 1 << 20; // two rows a chunk
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray even = manager.zeros(new Shape(6, vocabulary));
            NDArray half = even.duplicate();
            half.transpose().get("0:524288").addi(Math.log(3));
            TextScore score = new TextScore();
            score.add(new long[6], 1, half, even);
            // 1 / V against 1.5 / V and 0.5 / V
            Assert.assertEquals(score.meanDivergence(), -0.5 * Math.log(0.75), FLOAT32);
        }
    }

    @Test
    public void whatIsNotFiniteIsRefused() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray sound = manager.ones(new Shape(3, 5));
            NDArray damaged = manager.full(new Shape(3, 5), Float.NaN);
            for (NDArray reference : new NDArray[] {damaged, sound, null}) {
                IllegalStateException e =
                        Assert.expectThrows(
                                IllegalStateException.class,
                                () -> new TextScore().add(new long[3], 1, damaged, reference));
                Assert.assertTrue(e.getMessage().contains("NaN"), e.getMessage());
            }
        }
    }
}
