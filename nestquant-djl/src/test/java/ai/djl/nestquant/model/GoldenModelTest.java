package ai.djl.nestquant.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.SafetensorsFile;
import ai.djl.training.ParameterStore;
import ai.djl.util.JsonUtils;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The float model agrees with the reference outputs of the transformers library. */
public class GoldenModelTest {

    private static final Path CASES =
            Path.of(System.getProperty("nestquant.shared", "../shared"), "goldens", "dev");

    private Path directory;
    private JsonObject golden;

    @DataProvider
    public Object[] cases() {
        return new Object[] {
            "llama_gqa_tied",
            "llama_bias_sharded",
            "llama_linear",
            "llama3_rope",
            "mistral_sw16",
            "qwen2_tied",
            "qwen3"
        };
    }

    private void open(String name) throws Exception {
        directory = CASES.resolve(name);
        if (!Files.isDirectory(directory)) {
            throw new SkipException("reference outputs are missing: " + directory);
        }
        String json = Files.readString(directory.resolve("golden.json"));
        golden = JsonUtils.GSON.fromJson(json, JsonObject.class);
    }

    @Test(dataProvider = "cases")
    public void onePassGivesTheReferenceLogits(String name) throws Exception {
        open(name);
        try (NDManager manager = newManager()) {
            CausalLm model = CausalLmLoader.load(directory, QuantizationConfig.NONE, manager);
            for (int s = 0; s < 2; s++) {
                long[] ids = ids(sequence(s).getAsJsonArray("input_ids"));
                float[] logits = logits(model, manager, ids, null);
                assertClose(logits, reference("seq" + s + ".logits"), "sequence " + s);
                assertArgmax(logits, ids.length, sequence(s).getAsJsonArray("argmax"));
            }
        }
    }

    @Test(dataProvider = "cases")
    public void tokenByTokenGivesTheReferenceLogits(String name) throws Exception {
        open(name);
        try (NDManager manager = newManager()) {
            CausalLm model = CausalLmLoader.load(directory, QuantizationConfig.NONE, manager);
            float[] reference = reference("seq1.logits");
            long[] ids = ids(sequence(1).getAsJsonArray("input_ids"));
            int vocabulary = model.config().vocabularySize();
            float[] logits = new float[reference.length];
            try (KvCache cache = model.newCache(manager, ids.length)) {
                int prompt = 5; // a prompt in one pass, then steps
                float[] first = logits(model, manager, Arrays.copyOf(ids, prompt), cache);
                System.arraycopy(first, 0, logits, 0, first.length);
                for (int i = prompt; i < ids.length; i++) {
                    float[] step = logits(model, manager, new long[] {ids[i]}, cache);
                    System.arraycopy(step, 0, logits, i * vocabulary, vocabulary);
                }
                Assert.assertEquals(cache.length(), ids.length);
            }
            assertClose(logits, reference, "steps");
        }
    }

    @Test(dataProvider = "cases")
    public void paddedBatchGivesTheReferenceLogits(String name) throws Exception {
        open(name);
        JsonObject padded = golden.getAsJsonObject("padded");
        long[][] mask = JsonUtils.GSON.fromJson(padded.get("attention_mask"), long[][].class);
        long[][] rows = JsonUtils.GSON.fromJson(padded.get("input_ids"), long[][].class);
        try (NDManager manager = newManager()) {
            CausalLm model = CausalLmLoader.load(directory, QuantizationConfig.NONE, manager);
            ParameterStore store = new ParameterStore(manager, false);
            NDArray ids =
                    manager.create(
                            Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(),
                            new Shape(rows.length, rows[0].length));
            float[] logits = model.logits(store, ids, mask, null, false).toFloatArray();
            float[] reference = reference("padded.logits");
            int vocabulary = model.config().vocabularySize();
            for (int b = 0; b < rows.length; b++) {
                for (int i = 0; i < rows[b].length; i++) {
                    if (mask[b][i] == 1) {
                        int from = (b * rows[b].length + i) * vocabulary;
                        assertClose(
                                Arrays.copyOfRange(logits, from, from + vocabulary),
                                Arrays.copyOfRange(reference, from, from + vocabulary),
                                "row " + b + ", token " + i);
                    }
                }
            }
        }
    }

    @Test(dataProvider = "cases")
    public void greedyContinuationIsTheReference(String name) throws Exception {
        open(name);
        try (NDManager manager = newManager()) {
            CausalLm model = CausalLmLoader.load(directory, QuantizationConfig.NONE, manager);
            for (int s = 0; s < 2; s++) {
                long[] prompt = ids(sequence(s).getAsJsonArray("input_ids"));
                long[] expected = ids(sequence(s).getAsJsonArray("greedy_new_ids"));
                Assert.assertEquals(greedy(model, manager, prompt, expected.length), expected);
            }
        }
    }

    private static long[] greedy(CausalLm model, NDManager manager, long[] prompt, int count) {
        NDArray ids = manager.create(prompt, new Shape(1, prompt.length));
        return model.forwardStream(
                        new ParameterStore(manager, false), new ai.djl.ndarray.NDList(ids), false)
                .limit(count)
                .mapToLong(next -> next.head().getLong())
                .toArray();
    }

    private static NDManager newManager() {
        return Engine.getEngine("PyTorch").newBaseManager(Device.cpu());
    }

    private static float[] logits(CausalLm model, NDManager manager, long[] ids, KvCache cache) {
        ParameterStore store = new ParameterStore(manager, false);
        NDArray input = manager.create(ids, new Shape(1, ids.length));
        return model.logits(store, input, cache, false).toFloatArray();
    }

    private JsonObject sequence(int index) {
        return golden.getAsJsonArray("sequences").get(index).getAsJsonObject();
    }

    private static long[] ids(JsonArray array) {
        return JsonUtils.GSON.fromJson(array, long[].class);
    }

    private float[] reference(String tensor) throws Exception {
        try (SafetensorsFile file =
                SafetensorsFile.open(directory.resolve("golden_logits.safetensors"))) {
            return file.readFloats(tensor);
        }
    }

    private void assertClose(float[] actual, float[] expected, String where) {
        double atol = golden.getAsJsonObject("tolerance").get("atol").getAsDouble();
        Assert.assertEquals(actual.length, expected.length, where);
        for (int i = 0; i < actual.length; i++) {
            if (!(Math.abs(actual[i] - expected[i]) <= atol)) {
                Assert.fail(where + ", logit " + i + ": " + actual[i] + " is not " + expected[i]);
            }
        }
    }

    private static void assertArgmax(float[] logits, int tokens, JsonArray expected) {
        int vocabulary = logits.length / tokens;
        for (int t = 0; t < tokens; t++) {
            int best = 0;
            for (int i = 1; i < vocabulary; i++) {
                best = logits[t * vocabulary + i] > logits[t * vocabulary + best] ? i : best;
            }
            Assert.assertEquals(best, expected.get(t).getAsInt(), "argmax of token " + t);
        }
    }
}
