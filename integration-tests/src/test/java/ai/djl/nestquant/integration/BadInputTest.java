package ai.djl.nestquant.integration;

import ai.djl.inference.Predictor;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Bad input gets one error that says what is wrong and what to do. */
public class BadInputTest {

    private static Criteria.Builder<String, String> criteria(Path directory) {
        return Criteria.builder()
                .setTypes(String.class, String.class)
                .optEngine("NestQuant")
                .optModelPath(directory);
    }

    /** Loading or predicting fails with a message that holds all of the words. */
    private static void assertRefused(Criteria<String, String> criteria, String... words) {
        Throwable error =
                Assert.expectThrows(
                        Exception.class,
                        () -> {
                            try (ZooModel<String, String> model = criteria.loadModel();
                                    Predictor<String, String> predictor = model.newPredictor()) {
                                predictor.predict("x".repeat(5000));
                            }
                        });
        StringBuilder messages = new StringBuilder();
        for (Throwable t = error; t != null; t = t.getCause()) {
            messages.append(t.getMessage()).append('\n');
        }
        for (String word : words) {
            Assert.assertTrue(messages.toString().contains(word), word + " in: " + messages);
        }
    }

    @Test
    public void unknownQuantizationNamesTheKnownOnes() {
        assertRefused(
                criteria(TestModels.demo()).optOption("quantization", "w5").build(),
                "w5",
                "known are none, w4");
    }

    @Test
    public void unknownOptionIsRefused() {
        assertRefused(
                criteria(TestModels.demo()).optOption("quantisation", "w4").build(),
                "quantisation",
                "quantization");
    }

    @Test
    public void unknownArgumentIsRefused() {
        assertRefused(
                criteria(TestModels.demo()).optArgument("max_new_tokens", 5).build(),
                "max_new_tokens",
                "maxNewTokens");
    }

    @Test
    public void promptBeyondTheContextNamesBothLengths() {
        assertRefused(criteria(TestModels.demo()).build(), "1024 positions", "shorten");
    }

    @Test
    public void unsupportedModelNamesTheSupportedOnes() {
        assertRefused(
                criteria(TestModels.shared("goldens/dev/gpt2")).build(),
                "model_type",
                "gpt2",
                "llama");
    }

    @Test
    public void truncatedWeightsNameTheFile() throws IOException {
        Path directory = copyOfDemo();
        Path weights = directory.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        Files.write(weights, java.util.Arrays.copyOf(bytes, bytes.length / 2));
        assertRefused(criteria(directory).build(), "model.safetensors");
    }

    @Test
    public void missingTokenizerNamesTheFile() throws IOException {
        Path directory = copyOfDemo();
        Files.delete(directory.resolve("tokenizer.json"));
        assertRefused(criteria(directory).build(), "tokenizer.json");
    }

    private static Path copyOfDemo() throws IOException {
        Path source = TestModels.demo();
        Path target = Files.createTempDirectory(Path.of("target"), "demo");
        for (String file : new String[] {"config.json", "model.safetensors", "tokenizer.json"}) {
            Files.copy(source.resolve(file), target.resolve(file));
        }
        return target;
    }
}
