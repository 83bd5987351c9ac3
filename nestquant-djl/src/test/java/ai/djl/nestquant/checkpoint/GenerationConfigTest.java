package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.OptionalInt;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Checks defaults, fall-backs and errors of generation_config.json. */
public class GenerationConfigTest extends TemporaryFolder {

    private GenerationConfig load(String json) throws IOException, CheckpointException {
        Files.writeString(folder.resolve("config.json"), ModelConfigTest.LLAMA);
        if (json != null) {
            Files.writeString(folder.resolve("generation_config.json"), json);
        }
        return GenerationConfig.load(folder, ModelConfig.load(folder));
    }

    @Test
    public void defaultsAreThoseOfTransformers() throws Exception {
        GenerationConfig defaults =
                new GenerationConfig(
                        false,
                        OptionalInt.of(1),
                        List.of(2),
                        false,
                        1,
                        50,
                        1,
                        1,
                        OptionalInt.empty(),
                        OptionalInt.empty(),
                        List.of());
        Assert.assertEquals(load(null), defaults);
    }

    @Test
    public void everyKeyIsRead() throws Exception {
        GenerationConfig config =
                load(
                        "{\"bos_token_id\":5,\"eos_token_id\":[6,7],\"do_sample\":true,"
                                + "\"temperature\":0.6,\"top_k\":20,\"top_p\":0.9,"
                                + "\"repetition_penalty\":1.1,\"max_new_tokens\":64,"
                                + "\"max_length\":4096,\"pad_token_id\":0}");
        GenerationConfig expected =
                new GenerationConfig(
                        true,
                        OptionalInt.of(5),
                        List.of(6, 7),
                        true,
                        0.6,
                        20,
                        0.9,
                        1.1,
                        OptionalInt.of(64),
                        OptionalInt.of(4096),
                        List.of());
        Assert.assertEquals(config, expected);
        Assert.assertEquals(load("{\"top_k\":null}").topK(), 0);
    }

    @Test
    public void optionsThatAreNotImplementedAreListed() throws Exception {
        GenerationConfig config =
                load("{\"num_beams\":4,\"min_p\":0.05,\"typical_p\":1.0,\"min_length\":0}");
        Assert.assertEquals(config.unsupportedKeys(), List.of("min_p", "num_beams"));
    }

    @DataProvider
    public Object[][] refusals() {
        return new Object[][] {
            {"{\"temperature\":-1}", "'temperature' is -1"},
            {"{\"temperature\":0,\"do_sample\":true}", "'temperature' is 0, which needs"},
            {"{\"top_k\":-1}", "'top_k' is -1"},
            {"{\"top_p\":1.5}", "'top_p' is 1.5"},
            {"{\"repetition_penalty\":0}", "'repetition_penalty' is 0"},
            {"{\"max_new_tokens\":0}", "'max_new_tokens' is 0"},
            {"{\"eos_token_id\":\"</s>\"}", "'eos_token_id' must be an integer"},
            {"{\"do_sample\":\"yes\"}", "'do_sample' must be true or false"},
            {"[]", "must hold one JSON object"},
            {"", "not valid JSON"},
        };
    }

    @Test(dataProvider = "refusals")
    public void unusableValuesNameTheirKey(String json, String message) {
        CheckpointException error =
                Assert.expectThrows(CheckpointException.class, () -> load(json));
        String text = error.getMessage();
        Assert.assertTrue(text.startsWith(folder.resolve("generation_config.json") + ": "), text);
        Assert.assertTrue(text.contains(message), text);
    }
}
