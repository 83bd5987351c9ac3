package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Checks defaults, features and errors of config.json against what transformers does. */
public class ModelConfigTest extends TemporaryFolder {

    private static final String SIZES =
            "\"hidden_size\":256,\"intermediate_size\":512,\"num_hidden_layers\":4,"
                    + "\"num_attention_heads\":32,\"vocab_size\":1000";

    /** The smallest Llama. */
    static final String LLAMA = "{\"model_type\":\"llama\"," + SIZES + "}";

    private ModelConfig parse(String type, String more) throws IOException, CheckpointException {
        String json = "{\"model_type\":\"" + type + "\"," + SIZES + more + "}";
        Files.writeString(folder.resolve("config.json"), json);
        return ModelConfig.load(folder);
    }

    @Test
    public void absentKeysTakeTheDefaultsOfTheType() throws Exception {
        ModelConfig llama = parse("llama", "");
        RopeConfig rope = new RopeConfig(RopeConfig.Type.DEFAULT, 10000, 1, 0, 0, 0);
        ModelConfig expected =
                new ModelConfig(
                        ModelType.LLAMA,
                        4,
                        256,
                        512,
                        32,
                        32,
                        8,
                        1000,
                        2048,
                        1e-6,
                        rope,
                        false,
                        false,
                        false,
                        false,
                        false,
                        List.of(0, 0, 0, 0),
                        Optional.empty(),
                        OptionalInt.of(1),
                        List.of(2));
        Assert.assertEquals(llama, expected);
        ModelConfig mistral = parse("mistral", "");
        Assert.assertEquals(mistral.kvHeads(), 8);
        Assert.assertEquals(mistral.maxPositions(), 131072);
        Assert.assertEquals(mistral.slidingWindows(), List.of(4096, 4096, 4096, 4096));
        Assert.assertEquals(mistral.slidingWindow(3), 4096);
        ModelConfig qwen2 = parse("qwen2", "");
        Assert.assertEquals(qwen2.maxPositions(), 32768);
        Assert.assertEquals(qwen2.kvHeads(), 32);
        Assert.assertEquals(qwen2.headSize(), 8);
        Assert.assertTrue(qwen2.qkvBias() && !qwen2.outputBias());
        Assert.assertEquals(qwen2.eosTokenIds(), List.of());
        Assert.assertEquals(qwen2.bosTokenId(), OptionalInt.empty());
        ModelConfig qwen3 = parse("qwen3", "");
        Assert.assertEquals(qwen3.headSize(), 128);
        Assert.assertTrue(qwen3.qkNorm() && !qwen3.qkvBias());
    }

    @Test
    public void slidingWindowsAreKeptPerLayer() throws Exception {
        Assert.assertEquals(
                parse("mistral", ",\"sliding_window\":null").slidingWindows(), List.of(0, 0, 0, 0));
        String window = ",\"sliding_window\":9";
        Assert.assertEquals(parse("qwen2", window).slidingWindows(), List.of(0, 0, 0, 0));
        String used = window + ",\"use_sliding_window\":true";
        Assert.assertEquals(parse("qwen2", used).slidingWindows(), List.of(0, 0, 0, 0));
        Assert.assertEquals(
                parse("qwen3", used + ",\"max_window_layers\":1").slidingWindows(),
                List.of(0, 9, 9, 9));
        String types =
                ",\"layer_types\":[\"sliding_attention\",\"full_attention\","
                        + "\"full_attention\",\"sliding_attention\"]";
        Assert.assertEquals(parse("qwen2", used + types).slidingWindows(), List.of(9, 0, 0, 9));
        Assert.assertEquals(
                parse("llama", window + ",\"use_sliding_window\":false").slidingWindows(),
                List.of(0, 0, 0, 0));
    }

    @Test
    public void biasesFollowTheType() throws Exception {
        ModelConfig llama = parse("llama", ",\"attention_bias\":true");
        Assert.assertTrue(llama.qkvBias() && llama.outputBias() && !llama.mlpBias());
        Assert.assertTrue(parse("llama", ",\"mlp_bias\":true").mlpBias());
        ModelConfig qwen3 = parse("qwen3", ",\"attention_bias\":true");
        Assert.assertTrue(qwen3.qkvBias() && qwen3.outputBias());
    }

    @Test
    public void olderAndNewerSpellingsAreEqual() throws Exception {
        String scaling =
                "\"factor\":8.0,\"low_freq_factor\":1,\"high_freq_factor\":4.0,"
                        + "\"original_max_position_embeddings\":8192";
        ModelConfig older =
                parse(
                        "llama",
                        ",\"torch_dtype\":\"bfloat16\",\"rope_theta\":500000,\"rope_scaling\":{"
                                + scaling
                                + ",\"type\":\"llama3\"}");
        ModelConfig newer =
                parse(
                        "llama",
                        ",\"dtype\":\"bfloat16\",\"rope_parameters\":{\"rope_theta\":5e5,"
                                + scaling
                                + ",\"rope_type\":\"llama3\"}");
        Assert.assertEquals(newer, older);
        Assert.assertEquals(older.dtype(), Optional.of("bfloat16"));
        Assert.assertEquals(
                older.rope(), new RopeConfig(RopeConfig.Type.LLAMA3, 500000, 8, 1, 4, 8192));
    }

    @Test
    public void tokenIdsAreOneOrMany() throws Exception {
        ModelConfig many = parse("llama", ",\"eos_token_id\":[7,8],\"bos_token_id\":null");
        Assert.assertEquals(many.eosTokenIds(), List.of(7, 8));
        Assert.assertEquals(many.bosTokenId(), OptionalInt.empty());
        Assert.assertEquals(parse("llama", ",\"eos_token_id\":null").eosTokenIds(), List.of());
    }

    @Test
    public void keysWithoutEffectAreNotRead() throws Exception {
        ModelConfig plain = parse("llama", "");
        ModelConfig same =
                parse(
                        "llama",
                        ",\"pretraining_tp\":2,\"attention_dropout\":0.1,\"use_cache\":true,"
                                + "\"anything\":{\"x\":[1]},\"rope_scaling\":null,"
                                + "\"quantization_config\":null,\"partial_rotary_factor\":1.0,"
                                + "\"rope_interleaved\":false,"
                                + "\"architectures\":[\"LLaMAForCausalLM\"]");
        Assert.assertEquals(same, plain);
    }

    @DataProvider
    public Object[][] refusals() {
        String types = "\"layer_types\":[\"full_attention\"";
        return new Object[][] {
            {"gpt2", "", "'model_type' = \"gpt2\" is not supported; supported: llama, mistral"},
            {"llama", "\"hidden_act\":\"gelu\"", "'hidden_act' = \"gelu\" is not supported"},
            {"llama", "\"quantization_config\":{\"bits\":4}", "'quantization_config' = "},
            {"llama", "\"num_local_experts\":8", "'num_local_experts' = 8"},
            {"llama", "\"attn_logit_softcapping\":50.0", "'attn_logit_softcapping' = 50.0"},
            {"llama", "\"final_logit_softcapping\":30.0", "'final_logit_softcapping' = 30.0"},
            {"llama", "\"partial_rotary_factor\":0.5", "'partial_rotary_factor' = 0.5"},
            {"llama", "\"residual_multiplier\":0.5", "'residual_multiplier' = 0.5"},
            {"llama", "\"rope_interleaved\":true", "'rope_interleaved' = true"},
            {"llama", "\"architectures\":[\"LlamaForSequenceClassification\"]", "'architectures'"},
            {"llama", "\"sliding_window\":4096", "'sliding_window' = 4096"},
            {"mistral", "\"attention_bias\":true", "'attention_bias' = true"},
            {"qwen2", "\"mlp_bias\":true", "'mlp_bias' = true"},
            {"llama", "\"num_key_value_heads\":5", "'num_key_value_heads' = 5, but it must"},
            {"llama", "\"num_key_value_heads\":64", "'num_key_value_heads' = 64, but it must"},
            {"llama", "\"num_key_value_heads\":0", "'num_key_value_heads' is 0, not in [1"},
            {"llama", "\"head_dim\":7", "'head_dim' = 7 must be even"},
            {"llama", "\"head_dim\":-8", "'head_dim' is -8, not in"},
            {"llama", "\"max_position_embeddings\":\"2048\"", "must be an integer but is \"2048"},
            {"llama", "\"max_position_embeddings\":2048.5", "must be an integer but is 2048.5"},
            {"llama", "\"max_position_embeddings\":1e400", "must be an integer but is 1e400"},
            {"llama", "\"max_position_embeddings\":99999999999999999999", "must be an integer"},
            {"llama", "\"max_position_embeddings\":9999999999", "is 9999999999, not in"},
            {"llama", "\"rms_norm_eps\":0", "'rms_norm_eps' is 0, not in"},
            {"llama", "\"rms_norm_eps\":1e400", "'rms_norm_eps' is 1e400, not in"},
            {"llama", "\"rms_norm_eps\":true", "'rms_norm_eps' must be a number"},
            {"llama", "\"rms_norm_eps\":NaN", "not valid JSON"},
            {"llama", "\"rope_theta\":-1", "'rope_theta' is -1, not in"},
            {"llama", "\"tie_word_embeddings\":1", "'tie_word_embeddings' must be true or false"},
            {"llama", "\"vocab_size\":5", "duplicate key"},
            {"llama", "\"eos_token_id\":[1,\"2\"]", "'eos_token_id' must be an integer"},
            {"llama", "\"eos_token_id\":-1", "'eos_token_id' is -1"},
            {"llama", "\"dtype\":{}", "'dtype' must be a string"},
            {"llama", "\"rope_scaling\":[]", "'rope_scaling' must be an object"},
            {
                "llama",
                rope("\"rope_type\":\"yarn\",\"factor\":4"),
                "'rope_scaling.rope_type' = \"y"
            },
            {"llama", rope("\"type\":\"dynamic\",\"factor\":4"), "'rope_scaling.type' = \"dyn"},
            {"llama", rope("\"type\":\"linear\""), "'rope_scaling.factor' is missing"},
            {"llama", rope("\"type\":\"linear\",\"factor\":0"), "'rope_scaling.factor' is 0"},
            {"llama", rope("\"type\":\"linear\",\"factor\":2,\"x\":1"), "'rope_scaling.x' = 1"},
            {"llama", rope("\"type\":\"linear\",\"rope_type\":\"llama3\""), "contradicts type"},
            {"llama", rope("\"type\":\"llama3\",\"factor\":2"), "low_freq_factor' is missing"},
            {
                "llama",
                rope(
                        "\"type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,"
                                + "\"high_freq_factor\":4,\"original_max_position_embeddings\":64"),
                "'rope_scaling.high_freq_factor' = 4.0 must exceed"
            },
            {
                "llama",
                "\"rope_theta\":1000,\"rope_parameters\":{\"rope_theta\":2000}",
                "'rope_parameters' contradicts"
            },
            {
                "qwen3",
                "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1}}",
                "'rope_parameters.full_attention' = "
            },
            {"qwen2", types + "]", "'layer_types' has 1 entries for 4 layers"},
            {"qwen2", "\"layer_types\":[1]", "'layer_types' must be a string"},
            {"qwen2", fourTypes("sliding_attention"), "'layer_types' names sliding_attention"},
            {"qwen2", fourTypes("linear_attention"), "'layer_types' = "},
            {"mistral", fourTypes("full_attention"), "'layer_types' = "},
            {"qwen2", "\"use_sliding_window\":true,\"sliding_window\":0", "'sliding_window' is 0"},
        };
    }

    private static String rope(String keys) {
        return "\"rope_scaling\":{" + keys + "}";
    }

    private static String fourTypes(String type) {
        String quoted = "\"" + type + "\"";
        return "\"layer_types\":[" + String.join(",", quoted, quoted, quoted, quoted) + "]";
    }

    @Test(dataProvider = "refusals")
    public void unusableValuesNameTheirKey(String type, String key, String message) {
        CheckpointException error =
                Assert.expectThrows(
                        CheckpointException.class,
                        () -> parse(type, key.isEmpty() ? "" : "," + key));
        String text = error.getMessage();
        Assert.assertTrue(text.startsWith(folder.resolve("config.json") + ": "), text);
        Assert.assertTrue(text.contains(message), text);
    }

    @Test
    public void requiredKeysAreNamed() throws Exception {
        for (String key :
                List.of(
                        "model_type",
                        "hidden_size",
                        "intermediate_size",
                        "num_hidden_layers",
                        "num_attention_heads",
                        "vocab_size")) {
            for (String json :
                    List.of(
                            LLAMA.replace("\"" + key + "\":", "\"other\":"),
                            LLAMA.replaceFirst("\"" + key + "\":[^,}]+", "\"" + key + "\":null"))) {
                Path path = Files.writeString(folder.resolve("config.json"), json);
                CheckpointException error =
                        Assert.expectThrows(
                                CheckpointException.class, () -> ModelConfig.load(folder));
                Assert.assertTrue(
                        error.getMessage().startsWith(path + ": key '" + key + "' is missing"),
                        error.getMessage());
            }
        }
        Files.delete(folder.resolve("config.json"));
        Assert.assertThrows(CheckpointException.class, () -> ModelConfig.load(folder));
    }

    @Test
    public void hiddenSizeMustSplitIntoHeadsOnlyWithoutHeadDim() throws Exception {
        String odd = LLAMA.replace("256", "250");
        Files.writeString(folder.resolve("config.json"), odd);
        CheckpointException error =
                Assert.expectThrows(CheckpointException.class, () -> ModelConfig.load(folder));
        Assert.assertTrue(error.getMessage().contains("hidden_size = 250"), error.getMessage());
        String named = odd.replace("\"vocab_size\"", "\"head_dim\":16,\"vocab_size\"");
        Files.writeString(folder.resolve("config.json"), named);
        Assert.assertEquals(ModelConfig.load(folder).headSize(), 16);
    }
}
