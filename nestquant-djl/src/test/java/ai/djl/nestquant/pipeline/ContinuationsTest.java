package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class ContinuationsTest {

    /** Log-probabilities are float32 and of size 2: a few units of 2^-23. */
    private static final double FLOAT32 = 1e-6;

    /** Logit 2 for the successor of a token, 0 for the other nine. */
    private static NDArray successors(NDArray ids) {
        return ids.add(1).oneHot(10).mul(2);
    }

    @Test
    public void onlyTheContinuationCountsWhateverElseIsInTheBatch() {
        double successor = 2 - Math.log(Math.exp(2) + 9);
        double other = -Math.log(Math.exp(2) + 9);
        List<Continuations.Request> requests =
                List.of(
                        new Continuations.Request(new long[] {5, 1, 2, 3}, 2),
                        new Continuations.Request(new long[] {1, 2}, 1),
                        new Continuations.Request(new long[] {7, 7, 1, 2, 3, 8}, 3));
        List<Integer> done = new ArrayList<>();
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            Continuations.Score[] scores =
                    new Continuations(manager, ContinuationsTest::successors, 10)
                            .score(requests, done::add);
            Assert.assertEquals(scores[0].logLikelihood(), 2 * successor, FLOAT32);
            Assert.assertEquals(scores[1].logLikelihood(), successor, FLOAT32);
            Assert.assertEquals(scores[2].logLikelihood(), 2 * successor + other, FLOAT32);
            Assert.assertTrue(scores[0].greedy());
            Assert.assertFalse(scores[2].greedy());
            Assert.assertEquals(done, List.of(3));
        }
    }
}
