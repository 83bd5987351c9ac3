package ai.djl.nestquant.calibration;

import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Rounding with feedback loses less where it counts, and nothing else changes. */
public class LdlqTest {

    private static final int ROWS = 16;

    /** Sums of float rounding errors over some hundred columns. */
    private static final double FLOAT_TOLERANCE = 1e-4;

    private static final double DAMPING = 0.01;

    /** Moments of inputs whose channels are correlated and of different sizes. */
    private static float[] hessian(int n, Random random) {
        int tokens = 2 * n;
        float[] h = new float[n * n];
        double[] x = new double[n];
        for (int t = 0; t < tokens; t++) {
            double common = 2 * random.nextGaussian();
            for (int i = 0; i < n; i++) {
                double before = i == 0 ? 0 : x[i - 1];
                x[i] = 0.6 * before + 0.3 * common + random.nextGaussian() * (1 + i % 3);
            }
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < n; j++) {
                    h[i * n + j] += (float) (x[i] * x[j] / tokens);
                }
            }
        }
        return h;
    }

    private static float[] gaussian(int count, Random random) {
        float[] rows = new float[count];
        for (int i = 0; i < count; i++) {
            rows[i] = (float) random.nextGaussian();
        }
        return rows;
    }

    /** {@code tr(E·(H + ridge)·Eᵀ)} of some rows. */
    private static double loss(float[] w, float[] rounded, float[] h, int n) {
        double trace = 0;
        for (int i = 0; i < n; i++) {
            trace += h[i * n + i];
        }
        double sum = 0;
        for (int at = 0; at < w.length; at += n) {
            for (int i = 0; i < n; i++) {
                double e = w[at + i] - rounded[at + i];
                sum += e * e * DAMPING * trace / n;
                for (int j = 0; j < n; j++) {
                    sum += e * h[i * n + j] * (w[at + j] - rounded[at + j]);
                }
            }
        }
        return sum;
    }

    private static BlockCode grid(int width, float step) {
        return new BlockCode() {
            @Override
            public int width() {
                return width;
            }

            @Override
            public void round(int row, int column, float[] target, int offset, float[] decoded) {
                for (int i = 0; i < width; i++) {
                    float x = target[offset + i];
                    decoded[i] = step == 0 ? x : step * (float) Math.rint(x / step);
                }
            }
        };
    }

    @DataProvider
    public Object[][] cases() {
        return new Object[][] {{8, 8, 1}, {136, 8, 2}, {256, 8, 3}, {320, 32, 4}, {144, 16, 5}};
    }

    @Test(dataProvider = "cases")
    public void exactCodeReturnsTheWeight(int n, int width, long seed) {
        Random random = new Random(seed);
        float[] h = hessian(n, random);
        float[] w = gaussian(ROWS * n, random);
        float[] rounded = new float[w.length];
        double[] losses =
                InputFactors.of("w", h, null, DAMPING, width)
                        .ldlq()
                        .round(w, ROWS, 1, grid(width, 0), rounded);
        Assert.assertEquals(rounded, w);
        Assert.assertEquals(losses, new double[ROWS]);
    }

    @Test(dataProvider = "cases")
    public void feedbackLosesLessThanPlainRounding(int n, int width, long seed) {
        Random random = new Random(seed);
        float[] h = hessian(n, random);
        float[] w = gaussian(ROWS * n, random);
        float[] plain = new float[w.length];
        float[] block = new float[width];
        for (int i = 0; i < w.length; i += width) {
            grid(width, 0.3f).round(0, 0, w, i, block);
            System.arraycopy(block, 0, plain, i, width);
        }
        float[] rounded = new float[w.length];
        double[] losses =
                InputFactors.of("w", h, null, DAMPING, width)
                        .ldlq()
                        .round(w, ROWS, 1, grid(width, 0.3f), rounded);
        double own = loss(w, rounded, h, n);
        double sum = 0;
        for (double rowLoss : losses) {
            sum += rowLoss;
        }
        Assert.assertEquals(sum, own, FLOAT_TOLERANCE * own, "reported loss, seed " + seed);
        // a single block has no feedback
        Assert.assertTrue(
                own < (n == width ? 1.0001 : 1) * loss(w, plain, h, n),
                own + " against " + loss(w, plain, h, n) + ", seed " + seed);
    }

    @DataProvider
    public Object[][] codes() {
        return new Object[][] {
            {PackedCode.E8_16}, {PackedCode.D8_16}, {PackedCode.E8_8}, {PackedCode.D8_8}
        };
    }

    @Test(dataProvider = "codes")
    public void packedCodesLoseLessWithFeedback(PackedCode code) {
        Random random = new Random(7);
        int n = 192;
        float[] h = hessian(n, random);
        float[] w = gaussian(ROWS * n, random);
        InputFactors factors = InputFactors.of("w", h, null, DAMPING, 8);
        PackedMatrix matrix = packed(code, w, n, factors);
        PackedMatrix plain = PackedMatrixEncoder.encode(code, w, ROWS, n, new DistortionStats());
        double own = loss(w, decoded(matrix), h, n);
        double other = loss(w, decoded(plain), h, n);
        Assert.assertTrue(own < 0.8 * other, own + " against " + other);
    }

    private static PackedMatrix packed(PackedCode code, float[] w, int n, InputFactors factors) {
        float largest = 0;
        for (int row = 0; row < ROWS; row++) {
            largest = Math.max(largest, PackedMatrixEncoder.largestBlockNorm(w, row * n, n));
        }
        PackedMatrix matrix =
                PackedMatrix.allocate(code, ROWS, n, PackedLdlq.tensorScale(code, largest));
        new PackedMatrixEncoder(matrix).encodeTile(0, w, 0, new DistortionStats());
        new PackedLdlq(matrix, factors).encodeTile(0, w, w, new DistortionStats());
        return matrix;
    }

    private static float[] decoded(PackedMatrix matrix) {
        int n = matrix.columns();
        float[] rows = new float[matrix.rows() * n];
        byte[] integers = new byte[n];
        for (int row = 0; row < matrix.rows(); row++) {
            matrix.decodeRow(row, integers);
            for (int i = 0; i < n; i++) {
                rows[row * n + i] = matrix.rowScale(row) * integers[i];
            }
        }
        return rows;
    }

    @Test
    public void codesDoNotDependOnThreads() throws Exception {
        Random random = new Random(9);
        int n = 328;
        float[] h = hessian(n, random);
        float[] j = hessian(n, random);
        float[] w = gaussian(ROWS * n, random);
        PackedMatrix[] matrices = new PackedMatrix[2];
        for (int i = 0; i < 2; i++) {
            int at = i;
            ForkJoinPool pool = new ForkJoinPool(1 + 3 * i);
            matrices[i] =
                    pool.submit(
                                    () ->
                                            packed(
                                                    PackedCode.D8_16,
                                                    w,
                                                    n,
                                                    InputFactors.of("w", h, j, DAMPING, 8)))
                            .get();
            pool.shutdown();
            Assert.assertEquals(matrices[at].words(), matrices[0].words());
            Assert.assertEquals(matrices[at].betas(), matrices[0].betas());
            Assert.assertEquals(matrices[at].rowScales(), matrices[0].rowScales());
        }
    }

    /** {@code (w − u)·H·(w − u)ᵀ + u·J·uᵀ}, H damped. */
    private static double noisyLoss(float[] w, float[] u, float[] h, float[] j, int n) {
        double sum = loss(w, u, h, n);
        for (int a = 0; a < n; a++) {
            for (int b = 0; b < n; b++) {
                sum += (double) u[a] * j[a * n + b] * u[b];
            }
        }
        return sum;
    }

    @Test
    public void targetIsWhereTheNoisyLossIsStationary() {
        Random random = new Random(13);
        int n = 48;
        float[] h = hessian(n, random);
        float[] j = hessian(n, random);
        float[] w = gaussian(n, random);
        float[] u = w.clone();
        InputFactors.of("w", h, j, DAMPING, 8).toTargets(u, 1);
        double atW = noisyLoss(w, w, h, j, n);
        double least = noisyLoss(w, u, h, j, n);
        Assert.assertTrue(least < atW, least + " against " + atW);
        float step = 0.01f;
        for (int i = 0; i < n; i++) {
            float[] up = u.clone();
            float[] down = u.clone();
            up[i] += step;
            down[i] -= step;
            double above = noisyLoss(w, up, h, j, n) - least;
            double below = noisyLoss(w, down, h, j, n) - least;
            Assert.assertTrue(above > 0 && below > 0, "coordinate " + i);
            // a quadratic's symmetric differences agree where its gradient is zero
            Assert.assertEquals(above, below, 0.01 * above + 1e-6 * least);
        }
    }

    @Test
    public void hessianThatDoesNotFactorNamesLayerAndRemedy() {
        float[] h = new float[64];
        h[0] = 1;
        h[9] = -1;
        IllegalArgumentException error =
                Assert.expectThrows(
                        IllegalArgumentException.class,
                        () -> InputFactors.of("model.layers.3.mlp.up_proj", h, null, 0.01, 8));
        Assert.assertTrue(error.getMessage().contains("model.layers.3.mlp.up_proj"));
        Assert.assertTrue(error.getMessage().contains("larger damping"), error.getMessage());
    }
}
