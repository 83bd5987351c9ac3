package ai.djl.nestquant.checkpoint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Reads the reference model folders that transformers has written. */
public class GoldenCheckpointTest {

    @Test
    public void bothSpellingsGiveTheSameConfig() throws Exception {
        for (String name : Goldens.SUPPORTED) {
            Path folder = Goldens.folder(name);
            ModelConfig older = ModelConfig.load(folder);
            ModelConfig newer = ModelConfig.read(folder.resolve("config_transformers5.json"));
            // the second file was written from a model already converted to float32
            Assert.assertEquals(newer.dtype(), Optional.of("float32"), name);
            Assert.assertEquals(newer, withDtype(older, newer.dtype()), name);
        }
    }

    private static ModelConfig withDtype(ModelConfig config, Optional<String> dtype) {
        return new ModelConfig(
                config.type(),
                config.layers(),
                config.hiddenSize(),
                config.intermediateSize(),
                config.heads(),
                config.kvHeads(),
                config.headSize(),
                config.vocabularySize(),
                config.maxPositions(),
                config.rmsNormEps(),
                config.rope(),
                config.qkvBias(),
                config.outputBias(),
                config.mlpBias(),
                config.qkNorm(),
                config.tiedEmbeddings(),
                config.slidingWindows(),
                dtype,
                config.bosTokenId(),
                config.eosTokenIds());
    }

    @Test
    public void otherConfigsAreRejectedByKey() throws Exception {
        for (Path folder : Goldens.folders()) {
            String name = folder.getFileName().toString();
            for (String file : List.of("config.json", "config_transformers5.json")) {
                if (Goldens.SUPPORTED.contains(name)) {
                    continue;
                }
                Path path = folder.resolve(file);
                CheckpointException error =
                        Assert.expectThrows(
                                CheckpointException.class, () -> ModelConfig.read(path));
                String expected =
                        name.equals("llama_yarn") ? ".rope_type' = \"yarn\"" : "'model_type'";
                Assert.assertTrue(error.getMessage().contains(expected), error.getMessage());
                Assert.assertTrue(error.getMessage().contains(path.toString()), error.getMessage());
                Assert.assertTrue(error.getMessage().contains("supported: "), error.getMessage());
            }
        }
    }

    @Test
    public void featuresOfTheFamilyAreRead() throws Exception {
        ModelConfig llama3 = ModelConfig.load(Goldens.folder("llama3_rope"));
        Assert.assertEquals(
                llama3.rope(), new RopeConfig(RopeConfig.Type.LLAMA3, 500000, 8, 1, 4, 64));
        ModelConfig linear = ModelConfig.load(Goldens.folder("llama_linear"));
        Assert.assertEquals(
                linear.rope(), new RopeConfig(RopeConfig.Type.LINEAR, 10000, 4, 0, 0, 0));
        ModelConfig biased = ModelConfig.load(Goldens.folder("llama_bias_sharded"));
        Assert.assertTrue(biased.qkvBias() && biased.outputBias() && biased.mlpBias());
        ModelConfig mistral = ModelConfig.load(Goldens.folder("mistral_sw16"));
        Assert.assertEquals(mistral.slidingWindows(), List.of(16, 16));
        Assert.assertEquals(mistral.rmsNormEps(), 1e-6);
        ModelConfig qwen2 = ModelConfig.load(Goldens.folder("qwen2_tied"));
        Assert.assertTrue(qwen2.qkvBias() && !qwen2.outputBias() && qwen2.tiedEmbeddings());
        ModelConfig qwen3 = ModelConfig.load(Goldens.folder("qwen3"));
        Assert.assertTrue(qwen3.qkNorm() && !qwen3.qkvBias());
        Assert.assertEquals(qwen3.headSize(), 32);
    }

    @Test
    public void generationConfigNamesTheEndOfText() throws Exception {
        Path folder = Goldens.folder("llama_gqa_tied");
        GenerationConfig config = GenerationConfig.load(folder, ModelConfig.load(folder));
        Assert.assertTrue(config.present());
        Assert.assertEquals(config.bosTokenId(), OptionalInt.of(1));
        Assert.assertEquals(config.eosTokenIds(), List.of(2));
    }

    @Test
    public void realModelsAreRead() throws Exception {
        Path demo = Goldens.model("demo");
        ModelConfig config = ModelConfig.load(demo);
        RopeConfig rope = new RopeConfig(RopeConfig.Type.DEFAULT, 10000, 1, 0, 0, 0);
        ModelConfig expected =
                new ModelConfig(
                        ModelType.LLAMA,
                        6,
                        192,
                        512,
                        6,
                        2,
                        32,
                        2048,
                        1024,
                        1e-5,
                        rope,
                        false,
                        false,
                        false,
                        false,
                        true,
                        List.of(0, 0, 0, 0, 0, 0),
                        Optional.of("bfloat16"),
                        OptionalInt.of(0),
                        List.of(0));
        Assert.assertEquals(config, expected);
        GenerationConfig generation = GenerationConfig.load(demo, config);
        Assert.assertTrue(generation.doSample());
        Assert.assertEquals(generation.temperature(), 0.8);
        Assert.assertEquals(generation.topP(), 0.95);
        try (Checkpoint checkpoint = Checkpoint.open(demo)) {
            checkpoint.require("model.embed_tokens.weight", 2048, 192);
            checkpoint.require("model.layers.5.self_attn.k_proj.weight", 64, 192);
        }
        ModelConfig smollm = ModelConfig.load(Goldens.model("smollm2-135m"));
        Assert.assertEquals(smollm.headSize(), 64);
        Assert.assertEquals(smollm.rope().theta(), 100000.0);
        Path stories = Goldens.model("stories260K");
        Assert.assertFalse(GenerationConfig.load(stories, ModelConfig.load(stories)).present());
    }

    @Test
    public void everyTensorOfEveryFileValidates() throws Exception {
        for (Path folder : Goldens.folders()) {
            try (Checkpoint checkpoint = Checkpoint.open(folder);
                    SafetensorsFile logits =
                            SafetensorsFile.open(folder.resolve("golden_logits.safetensors"))) {
                long elements = 0;
                for (String name : checkpoint.names()) {
                    elements += checkpoint.info(name).elements();
                    if (checkpoint.info(name).type().isFloating()) {
                        for (float value : checkpoint.readFloats(name)) {
                            Assert.assertTrue(Float.isFinite(value), name);
                        }
                    }
                }
                Assert.assertEquals(elements, storedParameters(folder), folder.toString());
                for (String name : logits.names()) {
                    Assert.assertEquals(
                            logits.readFloats(name).length, logits.info(name).elements());
                }
            }
        }
    }

    private static long storedParameters(Path folder) throws IOException {
        Path manifest = folder.resolveSibling("manifest.json");
        JsonArray cases = JsonParser.parseString(Files.readString(manifest)).getAsJsonArray();
        for (JsonElement element : cases) {
            JsonObject object = element.getAsJsonObject();
            if (object.get("name").getAsString().equals(folder.getFileName().toString())) {
                return object.get("stored_params").getAsLong();
            }
        }
        throw new AssertionError(folder + " is not in " + manifest);
    }

    @Test
    public void storedLogitsHaveTheStoredArgmax() throws Exception {
        Path folder = Goldens.folder("llama_gqa_tied");
        try (SafetensorsFile file =
                SafetensorsFile.open(folder.resolve("golden_logits.safetensors"))) {
            long[] shape = file.info("seq0.logits").shape();
            float[] logits = file.readFloats("seq0.logits");
            int vocabulary = (int) shape[shape.length - 1];
            JsonArray expected = argmaxOfFirstSequence(folder);
            for (int position = 0; position < expected.size(); position++) {
                float[] row =
                        Arrays.copyOfRange(
                                logits, position * vocabulary, (position + 1) * vocabulary);
                int best = 0;
                for (int i = 1; i < row.length; i++) {
                    best = row[i] > row[best] ? i : best;
                }
                Assert.assertEquals(best, expected.get(position).getAsInt());
            }
        }
    }

    private static JsonArray argmaxOfFirstSequence(Path folder) throws IOException {
        String json = Files.readString(folder.resolve("golden.json"));
        JsonObject golden = JsonParser.parseString(json).getAsJsonObject();
        return golden.getAsJsonArray("sequences").get(0).getAsJsonObject().getAsJsonArray("argmax");
    }
}
