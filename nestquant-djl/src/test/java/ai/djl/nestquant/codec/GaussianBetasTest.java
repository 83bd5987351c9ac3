package ai.djl.nestquant.codec;

import static ai.djl.nestquant.lattice.CoarseLattice.CUBE;
import static ai.djl.nestquant.lattice.CoarseLattice.DUAL_CHECKERBOARD;
import static ai.djl.nestquant.lattice.CoarseLattice.GOSSET;
import static ai.djl.nestquant.lattice.CoarseLattice.GOSSET_FIXED;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class GaussianBetasTest {
    /** The constants have four decimals. */
    private static final double ROUNDING = 0.5e-4 * (1 + 1e-9);

    /** One seed's 40,000 blocks leave a standard error of 0.3%. */
    private static final int SEEDS = 4;

    /** Sets, and the distortions that they must reach. */
    @DataProvider
    public Object[][] sets() {
        return new Object[][] {
            {GOSSET, 16, GaussianBetas.E8_16_K4, 0.00445},
            {DUAL_CHECKERBOARD, 16, GaussianBetas.D8_16_K8, 0.00478},
            {GOSSET, 14, GaussianBetas.E8_14_K4, 0.00592},
            {GOSSET, 14, GaussianBetas.E8_14_DENSE, 0.00600},
            {GOSSET, 8, GaussianBetas.E8_8_K4, 0.0185},
            {GOSSET, 4, GaussianBetas.E8_4_K4, 0.083},
            {GOSSET, 64, GaussianBetas.E8_64_K4, 0.0004},
            {CUBE, 16, GaussianBetas.CUBE_16_K4, 0.00585},
            {GOSSET_FIXED, 16, GaussianBetas.E8_FIXED_16_K4, 0.00580},
        };
    }

    @Test
    public void searchFindsTheShippedSets() {
        BetaSearch search = search(GOSSET, 16);
        assertFound(search, GaussianBetas.E8_16_K1);
        assertFound(search, GaussianBetas.E8_16_K2);
        assertFound(search, GaussianBetas.E8_16_K4);
        assertFound(search, GaussianBetas.E8_16_K8);
        assertFound(search(GOSSET, 14), GaussianBetas.E8_14_K4);
        assertFound(search(GOSSET, 8), GaussianBetas.E8_8_K4);
        assertFound(search(GOSSET, 4), GaussianBetas.E8_4_K4);
        assertFound(search(GOSSET, 64), GaussianBetas.E8_64_K4);
        assertFound(search(DUAL_CHECKERBOARD, 16), GaussianBetas.D8_16_K8);
        assertFound(search(CUBE, 16), GaussianBetas.CUBE_16_K4);
        assertFound(search(GOSSET_FIXED, 16), GaussianBetas.E8_FIXED_16_K4);
    }

    @Test(dataProvider = "sets")
    public void setsReachTheirDistortion(
            CoarseLattice coarse, int ratio, BetaSet betas, double bound) {
        VoronoiCode code = new VoronoiCode(coarse, ratio);
        double sum = 0;
        for (long seed = 100; seed < 100 + SEEDS; seed++) {
            double distortion = distortion(code, betas, BetaPolicy.BEST_FIT, seed);
            double inner = distortion(code, betas, BetaPolicy.INNER_FIT, seed);
            Assert.assertTrue(distortion(code, betas, BetaPolicy.FIRST_FIT, seed) >= distortion);
            Assert.assertTrue(inner <= distortion);
            Assert.assertTrue(inner <= bound, code + " " + inner + " seed " + seed);
            sum += distortion;
        }
        Assert.assertTrue(sum / SEEDS <= bound, code + " " + sum / SEEDS);
    }

    @Test
    public void searchOnTheDataItselfCoversItsLargestBlock() {
        float[] blocks = GaussianRows.of(2_000 * 8, 3);
        blocks[77] = 40;
        VoronoiCode code = new VoronoiCode(GOSSET, 16);
        BetaSearch search = new BetaSearch(code, blocks, 0.1, 1.05);
        for (BetaPolicy policy : BetaPolicy.values()) {
            BlockEncoder encoder = new BlockEncoder(code, search.search(4, policy), policy);
            encoder.setRowScale(1);
            for (int i = 0; i < blocks.length; i += 8) {
                encoder.encode(blocks, i);
                Assert.assertFalse(encoder.overloaded());
            }
        }
    }

    @Test
    public void moreScalesNeverHurtTheSample() {
        float[] blocks = GaussianRows.of(2_000 * 8, 4);
        VoronoiCode code = new VoronoiCode(GOSSET, 8);
        BetaSearch search = new BetaSearch(code, blocks, 0.2, 1.05);
        double last = Double.POSITIVE_INFINITY;
        for (int k : new int[] {1, 2, 4, 8}) {
            BlockEncoder encoder =
                    new BlockEncoder(
                            code, search.search(k, BetaPolicy.BEST_FIT), BetaPolicy.BEST_FIT);
            encoder.setRowScale(1);
            double error = 0;
            for (int i = 0; i < blocks.length; i += 8) {
                error += encoder.encode(blocks, i);
            }
            Assert.assertTrue(error <= last);
            last = error;
        }
    }

    @Test
    public void samplesAndGridsThatSayNothingAreRejected() {
        VoronoiCode code = new VoronoiCode(GOSSET, 16);
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> new BetaSearch(code, new float[16], 0.1, 1.1));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> new BetaSearch(code, GaussianRows.of(16, 1), 0.1, 1));
        Assert.assertThrows(IllegalArgumentException.class, () -> BetaSet.of(0.3, 0.2));
        Assert.assertThrows(IllegalArgumentException.class, BetaSet::of);
    }

    private static BetaSearch search(CoarseLattice coarse, int ratio) {
        return GaussianBetas.search(new VoronoiCode(coarse, ratio));
    }

    private static void assertFound(BetaSearch search, BetaSet expected) {
        BetaSet found = search.search(expected.size(), BetaPolicy.BEST_FIT);
        for (int j = 0; j < expected.size(); j++) {
            Assert.assertEquals(found.beta(j), expected.beta(j), ROUNDING, found.toString());
        }
    }

    private static double distortion(
            VoronoiCode code, BetaSet betas, BetaPolicy policy, long seed) {
        float[] blocks = GaussianRows.of(40_000 * 8, seed);
        BlockEncoder encoder = new BlockEncoder(code, betas, policy);
        encoder.setRowScale(1);
        double error = 0;
        for (int i = 0; i < blocks.length; i += 8) {
            error += encoder.encode(blocks, i);
        }
        return error / blocks.length;
    }
}
