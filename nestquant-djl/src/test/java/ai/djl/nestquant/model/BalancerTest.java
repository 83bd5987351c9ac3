package ai.djl.nestquant.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.JsonUtils;
import ai.djl.util.PairList;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Balancing changes how a float model computes, but not what. */
public class BalancerTest {

    private static final Path CASES =
            Path.of(System.getProperty("nestquant.shared", "../shared"), "goldens", "dev");

    /**
     * Both models round in float32, in different places; the largest difference seen was 1.6e-6 of
     * the largest logit.
     */
    private static final double FLOAT_TOLERANCE = 2e-5;

    /** Float inputs are squared and summed in double on both sides, but in another order. */
    private static final double SUM_TOLERANCE = 1e-12;

    @DataProvider
    public Object[] cases() {
        return new Object[] {
            "llama_bias_sharded", "llama_gqa_tied", "qwen2_tied", "qwen3", "mistral_sw16"
        };
    }

    private static Path golden(String name) {
        Path directory = CASES.resolve(name);
        if (!Files.isDirectory(directory)) {
            throw new SkipException("reference outputs are missing: " + directory);
        }
        return directory;
    }

    private static long[] sequence(Path directory, int index) throws Exception {
        String json = Files.readString(directory.resolve("golden.json"));
        JsonObject golden = JsonUtils.GSON.fromJson(json, JsonObject.class);
        return JsonUtils.GSON.fromJson(
                golden.getAsJsonArray("sequences").get(index).getAsJsonObject().get("input_ids"),
                long[].class);
    }

    private static NDManager newManager() {
        return Engine.getEngine("PyTorch").newBaseManager(Device.cpu());
    }

    private static CausalLm load(Path directory, long[] calibrationIds, NDManager manager)
            throws Exception {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            return new CausalLmLoader(
                            ModelConfig.load(directory),
                            checkpoint,
                            manager,
                            QuantizationConfig.NONE)
                    .build(calibrationIds, null);
        }
    }

    private static float[] logits(CausalLm model, long[] ids, NDManager manager) {
        NDArray input = manager.create(ids, new Shape(1, ids.length));
        return model.logits(new ParameterStore(manager, false), input, null, false).toFloatArray();
    }

    @Test(dataProvider = "cases")
    public void balancedFloatModelEqualsTheOriginal(String name) throws Exception {
        Path directory = golden(name);
        try (NDManager manager = newManager()) {
            CausalLm original = load(directory, null, manager);
            CausalLm balanced = load(directory, sequence(directory, 1), manager);
            long[] ids = sequence(directory, 0);
            float[] expected = logits(original, ids, manager);
            float[] actual = logits(balanced, ids, manager);
            double largest = 0;
            for (float logit : expected) {
                largest = Math.max(largest, Math.abs(logit));
            }
            double worst = 0;
            for (int i = 0; i < expected.length; i++) {
                worst = Math.max(worst, Math.abs(actual[i] - expected[i]) / largest);
            }
            Assert.assertTrue(worst <= FLOAT_TOLERANCE, name + " is off by " + worst);
            assertWeightsMoved(original, balanced);
        }
    }

    /** Guards against a test that compares a model with itself. */
    private static void assertWeightsMoved(CausalLm original, CausalLm balanced) {
        for (String name : new String[] {"q_proj", "o_proj", "up_proj", "down_proj"}) {
            Assert.assertNotEquals(
                    weight(balanced, name).toFloatArray(), weight(original, name).toFloatArray());
        }
        if (!original.config().tiedEmbeddings()) {
            Assert.assertNotEquals(
                    weight(balanced, "lm_head").toFloatArray(),
                    weight(original, "lm_head").toFloatArray());
        }
    }

    private static NDArray weight(CausalLm model, String name) {
        for (var parameter : model.getParameters()) {
            if (parameter.getKey().contains(name) && parameter.getKey().endsWith("weight")) {
                return parameter.getValue().getArray();
            }
        }
        throw new AssertionError(name + " is not among " + model.getParameters().keys());
    }

    @Test
    public void statisticsEqualADirectComputation() {
        try (NDManager manager = newManager()) {
            Random random = new Random(5);
            Linear linear = Blocks.linear(manager.ones(new Shape(3, 4)), null);
            Linear other = Blocks.linear(manager.ones(new Shape(3, 4)), null);
            InputStatistics statistics = new InputStatistics();
            PairList<String, Object> params = new PairList<>();
            params.add(InputStatistics.KEY, statistics);
            double[] expected = new double[4];
            for (int pass = 0; pass < 2; pass++) {
                float[] x = new float[2 * 5 * 4];
                for (int i = 0; i < x.length; i++) {
                    x[i] = (float) random.nextGaussian();
                    expected[i % 4] += (double) x[i] * x[i] / 20;
                }
                NDArray input = manager.create(x, new Shape(2, 5, 4));
                Blocks.apply(linear, new ParameterStore(manager, false), input, params);
            }
            double[] actual = statistics.meanSquares(linear);
            for (int j = 0; j < expected.length; j++) {
                Assert.assertEquals(actual[j], expected[j], SUM_TOLERANCE * expected[j]);
            }
            Assert.expectThrows(IllegalStateException.class, () -> statistics.meanSquares(other));
        }
    }

    @Test
    public void hugeChannelShrinksAndItsColumnGrows() {
        try (NDManager manager = newManager()) {
            NDArray gamma = manager.create(new float[] {1, 1000, 1, 1});
            RmsNorm norm = new RmsNorm(gamma, 0);
            Linear head = Blocks.linear(manager.ones(new Shape(5, 4)), null);
            NDArray x = manager.create(new float[] {1, -1, 1, 1, -1, 1, 1, -1}, new Shape(2, 4));
            ParameterStore store = new ParameterStore(manager, false);
            NDArray before = Blocks.apply(head, store, Blocks.apply(norm, store, x, null), null);
            InputStatistics statistics = new InputStatistics();
            statistics.add(norm.forward(store, new NDList(x), false).head(), head);

            new Balancer(null, statistics).balanceHead("lm_head", norm, head);

            // s ∝ sqrt(1000), 1, 1, 1 with geometric mean 1: exponents 3/8 and −1/8
            double huge = Math.pow(1000, 0.375);
            double plain = Math.pow(1000, -0.125);
            float[] weight = head.getParameters().get("weight").getArray().toFloatArray();
            float[] scales = gamma.toFloatArray();
            Assert.assertEquals(weight[1], huge, 1e-5 * huge);
            Assert.assertEquals(weight[2], plain, 1e-5 * plain);
            Assert.assertEquals(scales[1], 1000 / huge, 1e-4);
            Assert.assertEquals(scales[2], 1 / plain, 1e-4);
            NDArray after = Blocks.apply(head, store, Blocks.apply(norm, store, x, null), null);
            Assert.assertTrue(after.allClose(before, 1e-5, 1e-3, false));
        }
    }

    @Test
    public void factorsMinimiseTheErrorBound() {
        Random random = new Random(11);
        double[] meanSquares = new double[16];
        double[] squaredNorms = new double[16];
        for (int j = 0; j < 16; j++) {
            meanSquares[j] = Math.exp(2 * random.nextGaussian());
            squaredNorms[j] = Math.exp(random.nextGaussian());
        }
        double[] best = BalancingFactors.of(meanSquares, squaredNorms);
        double logSum = 0;
        for (double factor : best) {
            logSum += Math.log(factor);
        }
        Assert.assertEquals(logSum, 0, SUM_TOLERANCE, "logarithm of the geometric mean");
        double least = bound(best, meanSquares, squaredNorms);
        for (int trial = 0; trial < 100; trial++) {
            double[] factors = best.clone();
            factors[random.nextInt(16)] *= Math.exp(0.1 * random.nextGaussian());
            double bound = bound(factors, meanSquares, squaredNorms);
            Assert.assertTrue(bound >= least * (1 - SUM_TOLERANCE), bound + " < " + least);
        }
    }

    private static double bound(double[] factors, double[] meanSquares, double[] squaredNorms) {
        double weights = 0;
        double inputs = 0;
        for (int j = 0; j < factors.length; j++) {
            weights += factors[j] * factors[j] * squaredNorms[j];
            inputs += meanSquares[j] / (factors[j] * factors[j]);
        }
        return weights * inputs;
    }

    @Test
    public void zeroChannelsKeepTheirScaleAndExtremesAreBounded() {
        double[] factors =
                BalancingFactors.of(new double[] {0, 1, 1, 1e30, 1}, new double[] {1, 0, 1, 1, 1});
        Assert.assertEquals(factors[0], 1.0);
        Assert.assertEquals(factors[1], 1.0);
        Assert.assertEquals(factors[3], BalancingFactors.LARGEST);
        Assert.assertEquals(BalancingFactors.of(new double[2], new double[2]), new double[] {1, 1});
    }

    @Test
    public void headsOfAGroupShareTheFactorsOfTheirValues() {
        double[] perHead = {1, 2, 10, 20, 100, 200, 1000, 2000}; // [2][2][2]
        double[] sums = BalancingFactors.sumOverGroups(perHead, 2, 2);
        Assert.assertEquals(sums, new double[] {11, 22, 1100, 2200});
        Assert.assertEquals(
                BalancingFactors.repeatInGroups(sums, 8, 2, 2),
                new double[] {11, 22, 11, 22, 1100, 2200, 1100, 2200});
    }

    @Test
    public void damagedWeightIsNamed() {
        try (NDManager manager = newManager()) {
            NDArray weight = manager.ones(new Shape(5, 4));
            weight.toByteBuffer(true).asFloatBuffer().put(6, Float.NaN);
            Linear head = Blocks.linear(weight, null);
            RmsNorm norm = new RmsNorm(manager.ones(new Shape(4)), 0);
            InputStatistics statistics = new InputStatistics();
            statistics.add(manager.ones(new Shape(1, 4)), head);
            IllegalArgumentException error =
                    Assert.expectThrows(
                            IllegalArgumentException.class,
                            () ->
                                    new Balancer(null, statistics)
                                            .balanceHead("lm_head", norm, head));
            Assert.assertTrue(error.getMessage().contains("channel 2"), error.getMessage());
            Assert.assertTrue(error.getMessage().contains("lm_head"), error.getMessage());
        }
    }
}
