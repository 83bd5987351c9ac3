package ai.djl.nestquant.model;

import static ai.djl.nestquant.model.SharedModels.ids;
import static ai.djl.nestquant.model.SharedModels.load;
import static ai.djl.nestquant.model.SharedModels.logits;
import static ai.djl.nestquant.model.SharedModels.newManager;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.training.initializer.Initializer;
import java.util.Arrays;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Laws that hold for a model under every kind of quantisation. */
public class QuantizedModelTest {

    /**
     * Float sums in another order (one row against many) move a logit by about 1e-5; where an entry
     * lies between two lattice points that may choose the other one, an error of the size that
     * quantisation itself makes for one block.
     */
    private static final double STEP_AGAINST_PASS = 0.05;

    /** Random weights amplify: each Linear adds a relative error of sqrt(0.0043) = 6.5%. */
    private static final double NEAR = 0.6;

    /** Rotations of float32 vectors and back. */
    private static final double FOLDING = 2e-4;

    private static double meanDifference(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs(a[i] - b[i]);
        }
        return sum / a.length;
    }

    @DataProvider
    public Object[][] configurations() {
        return new Object[][] {
            {"goldens/dev/llama_gqa_tied", "w4"},
            {"goldens/dev/llama_bias_sharded", "w4a8"},
            {"goldens/dev/qwen2_tied", "w4a4"},
            {"goldens/dev/qwen3", "kv4"},
            {"goldens/dev/mistral_sw16", "w4kv4"},
            {"models/stories260K", "w4a4kv4"},
            {"models/demo", "w4a8kv4"},
            {"models/demo", "w4a8kv4,w3=*.up_proj,w8=*.v_proj"},
            {"models/demo", "w4a4kv4,only=model.layers.1.*"},
            {"models/demo", "kv4,code=int4,only=*.0.self_attn"},
            {"goldens/dev/llama_bias_sharded", "w8a8"},
            {"goldens/dev/qwen2_tied", "w4a8kv4,code=int4"},
            {"models/demo", "w4a4kv4,code=int4"},
            {"models/demo", "w4a4kv4,code=nestquantm"},
            {"goldens/dev/qwen2_tied", "w4kv4,code=q4_0"},
            {"models/demo", "w4a4kv4,code=mxfp4_rotated"},
            {"models/demo", "w4a4kv4,rotation=off"},
            {"goldens/dev/qwen2_tied", "w4a8kv4,rotation=off,code=int4"}
        };
    }

    @Test(dataProvider = "configurations")
    public void tokenByTokenAndOnePassAgree(String name, String quantization) throws Exception {
        try (NDManager manager = newManager()) {
            CausalLm model = load(name, quantization, manager);
            long[] ids = ids(33);
            float[] onePass = logits(model, manager, ids, null);
            int vocabulary = model.config().vocabularySize();
            float[] steps = new float[onePass.length];
            try (KvCache cache = model.newCache(manager, ids.length)) {
                int prompt = 17;
                float[] first = logits(model, manager, Arrays.copyOf(ids, prompt), cache);
                System.arraycopy(first, 0, steps, 0, first.length);
                for (int i = prompt; i < ids.length; i++) {
                    float[] step = logits(model, manager, new long[] {ids[i]}, cache);
                    System.arraycopy(step, 0, steps, i * vocabulary, vocabulary);
                }
            }
            double difference = meanDifference(steps, onePass);
            Assert.assertTrue(difference < STEP_AGAINST_PASS, "differ by " + difference);
        }
    }

    @Test(dataProvider = "configurations")
    public void quantisedLogitsAreNearTheFloatOnesButNotThem(String name, String quantization)
            throws Exception {
        try (NDManager manager = newManager()) {
            float[] exact = logits(load(name, "none", manager), manager, ids(33), null);
            float[] coded = logits(load(name, quantization, manager), manager, ids(33), null);
            double difference = meanDifference(coded, exact);
            double size = meanDifference(exact, new float[exact.length]);
            Assert.assertTrue(difference > 1e-4 * size, "not quantised: " + difference);
            Assert.assertTrue(difference < NEAR * size, difference + " of " + size);
        }
    }

    @Test
    public void singleBlocksHaveTheBitsOfTheLastPartThatMatches() throws Exception {
        String text = "w4,exclude=*.o_proj,w3=*.mlp.*,w8=*.up_proj,w4=model.layers.1.*";
        QuantizationConfig config = QuantizationConfig.parse(text);
        Assert.assertEquals(config.toString(), text);
        Object[][] blocks = {
            {"self_attn.q_proj", 4, 4},
            {"self_attn.o_proj", 0, 0},
            {"mlp.gate_proj", 3, 4},
            {"mlp.up_proj", 8, 4}
        };
        for (Object[] block : blocks) {
            Assert.assertEquals(config.weightBits("model.layers.0." + block[0]), block[1]);
            Assert.assertEquals(config.weightBits("model.layers.1." + block[0]), block[2]);
        }
        String[] refused = {"w4,w5=x", "w4,w3=", "kv4,w8=x", "w4,code=int4,w8=x", "w8,code=rtn"};
        for (String wrong : refused) {
            Assert.expectThrows(
                    IllegalArgumentException.class, () -> QuantizationConfig.parse(wrong));
        }
        try (NDManager manager = newManager()) {
            for (CodedLayer layer : CodedLayer.of(load("models/demo", text, manager))) {
                boolean fine = layer.name().matches("layer[^1]/mlp/up_proj");
                Assert.assertEquals(layer.bitsPerEntry() > 8, fine, layer.toString());
                Assert.assertEquals(layer.distortion() < 1e-3, fine, layer.toString());
            }
        }
    }

    @Test
    public void onlyNamedBlocksAreCoded() throws Exception {
        QuantizationConfig config = QuantizationConfig.parse("w4a4kv4,only=model.layers.1.*");
        Assert.assertEquals(config.toString(), "w4a4kv4,only=model.layers.1.*");
        Assert.assertTrue(config.codesCache(1));
        Assert.assertFalse(config.codesCache(0) || config.codesCache(11));
        Assert.assertFalse(config.codesEmbedding(true) || config.codesEmbedding(false));
        try (NDManager manager = newManager()) {
            List<CodedLayer> coded = CodedLayer.of(load("models/demo", config.toString(), manager));
            Assert.assertEquals(coded.size(), 7);
            Assert.assertTrue(coded.stream().allMatch(l -> l.name().startsWith("layer1/")));
        }
    }

    @Test
    public void latticeCodesAreNearerToFloatThanIntegersInTheSamePlaces() throws Exception {
        for (String quantization : new String[] {"w4", "kv4", "w4a4kv4"}) {
            try (NDManager manager = newManager()) {
                float[] exact =
                        logits(load("models/demo", "none", manager), manager, ids(65), null);
                CausalLm coded = load("models/demo", quantization, manager);
                CausalLm integer = load("models/demo", quantization + ",code=int4", manager);
                double lattice = meanDifference(logits(coded, manager, ids(65), null), exact);
                double cubic = meanDifference(logits(integer, manager, ids(65), null), exact);
                Assert.assertTrue(lattice < cubic, quantization + ": " + lattice + ", " + cubic);
            }
        }
    }

    @Test
    public void integersAreHeldAsFloatsAndCountedSo() throws Exception {
        String text = "w4a4kv4,code=int4";
        Assert.assertEquals(QuantizationConfig.parse(text).toString(), text);
        try (NDManager manager = newManager()) {
            CausalLm model = load("models/demo", text, manager);
            Assert.assertEquals(WeightSummary.of(model).bitsPerWeight(), 32.0);
            Assert.assertEquals(WeightSummary.of(model).quantizedParameters(), 0);
            Assert.assertEquals(model.cacheBytesPerToken(), 2.0 * 6 * 2 * 32 * Float.BYTES);
        }
    }

    @Test
    public void simulatedCodesSayWhatTheyWouldTakeAndHowFarTheyAreOff() throws Exception {
        // rows of 192 and 512 entries; RTN's scale is fp16, others of a row are floats
        Object[][] codes = {
            {"e8", 4.25, 4.31, 0.0042},
            {"int4", 4.0, 4.17, 0.013},
            {"nestquant", 4.057, 4.23, 0.0062},
            {"nestquantm", 4.25, 4.42, 0.0060},
            {"d8", 4.25, 4.31, 0.0050},
            {"rtn", 4.0, 4.09, 0.03},
            {"q4_0", 4.5, 4.5, 0.011},
            {"mxfp4", 4.25, 4.25, 0.019},
            {"nvfp4", 4.5, 4.5, 0.012},
            {"q4_0_rotated", 4.5, 4.5, 0.0085},
            {"mxfp4_rotated", 4.25, 4.25, 0.016},
            {"nvfp4_rotated", 4.5, 4.5, 0.011}
        };
        Assert.assertEquals(codes.length, QuantizationConfig.Code.values().length);
        for (Object[] code : codes) {
            String text = "w4a4kv4,code=" + code[0];
            String canonical = text.replace(",code=d8", "");
            Assert.assertEquals(QuantizationConfig.parse(text).toString(), canonical);
            try (NDManager manager = newManager()) {
                List<CodedLayer> layers = CodedLayer.of(load("models/demo", text, manager));
                Assert.assertEquals(layers.size(), 6 * 7, text);
                Assert.assertEquals(layers.get(0).name(), "layer0/self_attn/q_proj");
                for (CodedLayer layer : layers) {
                    Assert.assertTrue(
                            layer.bitsPerEntry() >= (double) code[1]
                                    && layer.bitsPerEntry() <= (double) code[2],
                            text + ": " + layer);
                    Assert.assertEquals(layer.simulated(), !List.of("e8", "d8").contains(code[0]));
                    Assert.assertTrue(
                            layer.distortion() > 0 && layer.distortion() < (double) code[3],
                            text + ": " + layer);
                }
            }
        }
    }

    @Test
    public void partsThatNameNoBlockAreRefused() throws Exception {
        try (NDManager manager = newManager()) {
            for (String part :
                    List.of(
                            "exclude=*.dwn_proj",
                            "only=model.layers.6.*",
                            "w8=v_proj",
                            "w8=model.layers.0.self_attn",
                            "w3=lm_head")) {
                String message =
                        Assert.expectThrows(
                                        IllegalArgumentException.class,
                                        () -> load("models/demo", "w4," + part, manager))
                                .getMessage();
                Assert.assertTrue(message.startsWith(part + " names no block"), message);
            }
        }
    }

    @Test
    public void withoutRotationRowsAreCodedAsTheyAre() throws Exception {
        QuantizationConfig config = QuantizationConfig.parse("w4a4kv4,rotation=off");
        Assert.assertEquals(config.toString(), "w4a4kv4,rotation=off");
        Assert.assertEquals(QuantizationConfig.parse("w4,rotation=on").toString(), "w4");
        Assert.assertFalse(QuantizationConfig.parse("w4,code=rtn").rotates());
        for (String wrong : new String[] {"w4,rotation=no", "w4,rotation=off,code=q4_0_rotated"}) {
            Assert.expectThrows(
                    IllegalArgumentException.class, () -> QuantizationConfig.parse(wrong));
        }
        try (NDManager manager = newManager()) {
            Linear linear = Linear.builder().setUnits(3).optBias(false).build();
            linear.setInitializer(Initializer.ONES, Parameter.Type.WEIGHT);
            linear.initialize(manager, DataType.FLOAT32, new Shape(1, 64));
            NDArray weight = linear.getParameters().get("weight").getArray();
            weight.set(new NDIndex("1, 9"), 4);
            NestQuantLinear coded =
                    NestQuantLinear.encode(
                            "linear",
                            linear,
                            QuantizationConfig.parse("w4,rotation=off"),
                            null,
                            manager);
            float[] row = new float[64];
            coded.codes().decodeRow(1, row);
            for (int i = 0; i < row.length; i++) {
                Assert.assertEquals(row[i], i == 9 ? 4 : 1, 0.2, "column " + i);
            }
        }
    }

    @Test
    public void thePapersCodesTakeAnyNumberOfScales() throws Exception {
        double last = 1;
        for (int k : new int[] {1, 2, 4, 8}) {
            String text = "w4,code=nestquant,k=" + k;
            Assert.assertEquals(QuantizationConfig.parse(text).toString(), text);
            try (NDManager manager = newManager()) {
                CodedLayer layer = CodedLayer.of(load("models/demo", text, manager)).get(0);
                double bits = Math.log(14) / Math.log(2) + Math.log(k) / Math.log(2) / 8;
                Assert.assertEquals(layer.bitsPerEntry(), bits + 32.0 / 192, 1e-4, text);
                Assert.assertTrue(layer.distortion() < last, text + ": " + layer);
                last = layer.distortion();
            }
        }
        for (String wrong : new String[] {"w4,k=4", "w4,code=e8,k=4", "w4,code=nestquant,k=17"}) {
            String message =
                    Assert.expectThrows(
                                    IllegalArgumentException.class,
                                    () -> QuantizationConfig.parse(wrong))
                            .getMessage();
            Assert.assertTrue(message.contains("k is 1 to 16"), message);
        }
        Assert.expectThrows(
                IllegalArgumentException.class,
                () -> QuantizationConfig.parse("w4,code=nestquant,k=0"));
    }

    @Test
    public void rotatedHeadsInAFloatCacheGiveTheFloatLogits() throws Exception {
        String[] names = {"llama_gqa_tied", "llama_bias_sharded", "qwen2_tied", "qwen3"};
        for (String name : names) {
            try (NDManager manager = newManager()) {
                CausalLm exact = load("goldens/dev/" + name, "none", manager);
                CausalLm rotated = load("goldens/dev/" + name, "kv4", manager);
                long[] ids = ids(20);
                float[] expected = logits(exact, manager, ids, null);
                KvCache cache = new FloatKvCache(manager, exact.config().layers(), ids.length);
                float[] actual = logits(rotated, manager, ids, cache);
                for (int i = 0; i < actual.length; i++) {
                    Assert.assertEquals(actual[i], expected[i], FOLDING, name + " logit " + i);
                }
            }
        }
    }

    @Test
    public void longPromptIsThatOfItsPiecesInABatchToo() throws Exception {
        for (String quantization : new String[] {"none", "w4a8kv4", "w4a8kv4,rotation=off"}) {
            try (NDManager manager = newManager()) {
                CausalLm model = load("models/demo", quantization, manager);
                int vocabulary = model.config().vocabularySize();
                long[] ids = ids(CausalLm.PASS_TOKENS + 90);
                float[] whole = logits(model, manager, ids, null);
                try (KvCache cache = model.newCache(manager, ids.length)) {
                    long[] first = Arrays.copyOf(ids, CausalLm.PASS_TOKENS);
                    float[] pieces = logits(model, manager, first, cache);
                    long[] rest = Arrays.copyOfRange(ids, first.length, ids.length);
                    float[] last = logits(model, manager, rest, cache);
                    Assert.assertEquals(Arrays.copyOf(whole, pieces.length), pieces);
                    int end = whole.length;
                    Assert.assertEquals(
                            Arrays.copyOfRange(whole, pieces.length, end), last, quantization);
                }
                // the same behind padding, beside a sequence without
                int padding = 40;
                int length = ids.length + padding;
                long[] batch = Arrays.copyOf(ids(length), 2 * length);
                System.arraycopy(ids, 0, batch, length + padding, ids.length);
                long[][] mask = new long[2][length];
                Arrays.fill(mask[0], 1);
                Arrays.fill(mask[1], padding, length, 1);
                NDArray input = manager.create(batch, new Shape(2, length));
                ParameterStore store = new ParameterStore(manager, false);
                float[] padded = model.logits(store, input, mask, null, true).toFloatArray();
                Assert.assertEquals(padded.length, 2 * vocabulary);
                float[] alone = Arrays.copyOfRange(whole, whole.length - vocabulary, whole.length);
                float[] beside = Arrays.copyOfRange(padded, vocabulary, 2 * vocabulary);
                double difference = meanDifference(beside, alone);
                Assert.assertTrue(difference < STEP_AGAINST_PASS, "differ by " + difference);
            }
        }
    }

    @Test
    public void forkedCacheContinuesOnItsOwn() throws Exception {
        for (String quantization : new String[] {"none", "kv4", "kv4,only=*.1.self_attn"}) {
            try (NDManager manager = newManager()) {
                CausalLm model = load("models/demo", quantization, manager);
                try (KvCache cache = model.newCache(manager, 600)) {
                    logits(model, manager, ids(300), cache);
                    try (KvCache fork = cache.fork(manager)) {
                        Assert.assertEquals(fork.length(), 300);
                        float[] expected = logits(model, manager, new long[] {5}, cache);
                        logits(model, manager, ids(9), cache); // must not reach the fork
                        float[] forked = logits(model, manager, new long[] {5}, fork);
                        Assert.assertEquals(forked, expected);
                    }
                    cache.reset();
                    float[] again = logits(model, manager, ids(300), cache);
                    Assert.assertEquals(again, logits(model, manager, ids(300), null));
                }
            }
        }
    }

    @Test
    public void fullCacheIsRefusedWithItsNumbers() throws Exception {
        try (NDManager manager = newManager()) {
            CausalLm model = load("models/demo", "kv4", manager);
            try (KvCache cache = model.newCache(manager, 10)) {
                logits(model, manager, ids(8), cache);
                IllegalStateException error =
                        Assert.expectThrows(
                                IllegalStateException.class,
                                () -> logits(model, manager, ids(3), cache));
                Assert.assertTrue(error.getMessage().contains("maximum of 10"));
                Assert.assertEquals(cache.length(), 8);
            }
        }
    }

    @Test
    public void aTokensBytesAreThoseThatACacheAllocates() throws Exception {
        for (String quantization : new String[] {"none", "kv4", "kv4,only=*.1.self_attn"}) {
            try (NDManager manager = newManager()) {
                CausalLm model = load("models/demo", quantization, manager);
                int tokens = NestQuantKvCache.SEGMENT;
                try (KvCache cache = model.newCache(manager, tokens)) {
                    logits(model, manager, ids(tokens), cache);
                    int layers = model.config().layers();
                    int matrices =
                            switch (quantization) {
                                case "none" -> 0;
                                case "kv4" -> 2 * layers;
                                default -> 2;
                            };
                    double expected = tokens * model.cacheBytesPerToken();
                    Assert.assertEquals(cache.bytes() - 4.0 * matrices, expected, quantization);
                }
            }
        }
    }

    @Test
    public void codedCacheTakesAtMostTwentyEightPercentOfHalfFloats() throws Exception {
        try (NDManager manager = newManager()) {
            CausalLm model = load("goldens/dev/llama_gqa_tied", "kv4", manager);
            int tokens = NestQuantKvCache.SEGMENT;
            try (KvCache cache = new NestQuantKvCache(manager, model.config().layers(), tokens)) {
                NDArray vectors = manager.randomNormal(new Shape(1, 2, tokens, 64));
                cache.append(0, vectors, vectors);
                long halfFloats = 2L * vectors.size() * 2;
                Assert.assertTrue(cache.bytes() <= 0.28 * halfFloats, cache.bytes() + " bytes");
            }
        }
    }
}
