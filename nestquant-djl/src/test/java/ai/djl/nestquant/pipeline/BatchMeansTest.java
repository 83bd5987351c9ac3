package ai.djl.nestquant.pipeline;

import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

public class BatchMeansTest {

    /** Tables of Student's distribution, two-sided 95%. */
    @Test
    public void quantilesAreThoseOfTheTables() {
        double[][] table = {{3, 3.1824}, {5, 2.5706}, {10, 2.2281}, {30, 2.0423}, {1000, 1.9623}};
        for (double[] row : table) {
            Assert.assertEquals(BatchMeans.student((long) row[0]), row[1], 0.002 * row[1]);
        }
    }

    @Test
    public void meanCountsEveryValueOnce() {
        BatchMeans means = new BatchMeans();
        for (int i = 1; i <= 300; i++) {
            means.add(i);
            if (i == 130) {
                means.endWindow();
            }
        }
        means.endWindow();
        means.endWindow(); // nothing to end
        Assert.assertEquals(means.mean(), 150.5, 1e-12);
        Assert.assertEquals(means.batches(), 4); // 128 + 2, 128 + 42
    }

    @Test
    public void fewBatchesHaveNoInterval() {
        BatchMeans means = new BatchMeans();
        for (int i = 0; i < 3 * BatchMeans.BATCH; i++) {
            means.add(i);
        }
        Assert.assertTrue(Double.isNaN(means.halfWidth()));
    }

    /**
     * Of 2000 sequences with neighbours correlated by 0.8 the interval misses the truth in 5%; the
     * binomial standard deviation is 0.5%, and some dependence of the batches remains.
     */
    @Test
    public void intervalsCoverTheTruthAlthoughNeighboursDepend() {
        Random random = new Random(1);
        int missed = 0;
        for (int trial = 0; trial < 2000; trial++) {
            BatchMeans means = new BatchMeans();
            double x = random.nextGaussian();
            for (int i = 0; i < 20 * BatchMeans.BATCH; i++) {
                x = 0.8 * x + 0.6 * random.nextGaussian();
                means.add(x);
            }
            missed += Math.abs(means.mean()) > means.halfWidth() ? 1 : 0;
        }
        Assert.assertEquals(missed / 2000.0, 0.05, 0.025);
    }
}
