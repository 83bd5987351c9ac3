package ai.djl.nestquant.integration;

import com.google.gson.JsonObject;
import java.nio.file.Path;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The command line, run as a user runs it. */
public class CommandLineTest {

    @Test
    public void generatePrintsOneJsonObjectWithTheAgreedKeys() throws Exception {
        CommandLine.Result result =
                CommandLine.run(
                        "generate",
                        "--json",
                        "--greedy",
                        "--prompt",
                        "Once upon a time",
                        "--max-tokens",
                        16);
        JsonObject json = result.json();
        Assert.assertEquals(
                json.keySet(),
                Set.of(
                        "text",
                        "promptTokens",
                        "generatedTokens",
                        "tokenIds",
                        "finishReason",
                        "prefillTokensPerSecond",
                        "stepTokensPerSecond",
                        "bitsPerWeight",
                        "weightBytes",
                        "peakResidentBytes",
                        "kernels"));
        Assert.assertEquals(json.get("generatedTokens").getAsInt(), 16);
        Assert.assertEquals(json.getAsJsonArray("tokenIds").size(), 16);
        Assert.assertEquals(json.get("finishReason").getAsString(), "length");
        Assert.assertTrue(json.get("bitsPerWeight").getAsDouble() <= 4.3);
        Assert.assertEquals(result.out().strip().lines().count(), 1, result.out());
    }

    @Test
    public void generatePrintsTextSpeedAndMemory() throws Exception {
        CommandLine.Result result =
                CommandLine.run("generate", "--prompt", "Once upon a time", "--max-tokens", 8);
        Assert.assertEquals(result.exitCode(), 0, result.err());
        String all = result.out() + result.err();
        Assert.assertTrue(all.contains("tokens/s"), all);
        Assert.assertTrue(all.contains("MB") || all.contains("MiB"), all);
    }

    @Test
    public void floatPerplexityOfTheDemoModelIsTheReference() throws Exception {
        Path text = TestModels.shared("models/demo/valid.txt");
        double expected =
                TestModels.golden(TestModels.demo())
                        .getAsJsonObject("perplexity")
                        .get("perplexity")
                        .getAsDouble();
        JsonObject json =
                CommandLine.run(
                                "perplexity",
                                "--json",
                                "--model",
                                TestModels.demo(),
                                "--quantization",
                                "none",
                                "--text",
                                text,
                                "--context",
                                512)
                        .json();
        Assert.assertEquals(
                json.keySet(),
                Set.of("perplexity", "tokens", "windows", "bitsPerWeight", "seconds"));
        Assert.assertEquals(json.get("windows").getAsInt(), 170);
        Assert.assertEquals(json.get("perplexity").getAsDouble(), expected, 0.001 * expected);
    }

    @Test
    public void quantisedPerplexityOfTheDemoModelIsWithinThreePercent() throws Exception {
        Path text = TestModels.shared("models/demo/valid.txt");
        double reference = 24.00; // float, from the model's card
        JsonObject json =
                CommandLine.run("perplexity", "--json", "--text", text, "--context", 512).json();
        double perplexity = json.get("perplexity").getAsDouble();
        Assert.assertEquals(perplexity, reference, 0.03 * reference);
        Assert.assertTrue(perplexity > reference * 0.999, "too good: is anything quantised?");
    }

    @Test
    public void perplexitiesOfSmolLm2AreWhereTheyMustBe() throws Exception {
        Path text = TestModels.shared("data/wikitext-2/wiki.valid.tokens");
        Path model = TestModels.smolLm2();
        double expected =
                TestModels.golden(model)
                        .getAsJsonObject("wikitext2_valid")
                        .get("perplexity_first_10")
                        .getAsDouble();
        double plain = smolLm2Perplexity(model, text, "none");
        Assert.assertEquals(plain, expected, 0.001 * expected);
        double coded = smolLm2Perplexity(model, text, "w4");
        Assert.assertTrue(coded > plain && coded < 1.2 * plain, coded + " against " + plain);
    }

    private static double smolLm2Perplexity(Path model, Path text, String quantization)
            throws Exception {
        return CommandLine.run(
                        "perplexity",
                        "--json",
                        "--model",
                        model,
                        "--quantization",
                        quantization,
                        "--text",
                        text,
                        "--context",
                        1024,
                        "--windows",
                        10)
                .json()
                .get("perplexity")
                .getAsDouble();
    }

    @Test
    public void infoDescribesTheModel() throws Exception {
        JsonObject json = CommandLine.run("info", "--json").json();
        Assert.assertEquals(
                json.keySet(),
                Set.of(
                        "architecture",
                        "parameters",
                        "quantizedParameters",
                        "bitsPerWeight",
                        "weightBytes",
                        "kernels",
                        "layers",
                        "kvBytesPerToken",
                        "kvBytes"));
        Assert.assertEquals(json.get("parameters").getAsLong(), 2_755_008);
        Assert.assertEquals(json.get("layers").getAsInt(), 6);
    }

    @Test
    public void wrongUsageExitsWithTwoAndFailureWithOne() throws Exception {
        CommandLine.Result usage = CommandLine.run("generate", "--no-such-option");
        Assert.assertEquals(usage.exitCode(), 2);
        Assert.assertTrue(usage.err().contains("--no-such-option"), usage.err());
        CommandLine.Result failure = CommandLine.run("info", "--model", "no-such-directory");
        Assert.assertEquals(failure.exitCode(), 1);
        Assert.assertTrue(failure.err().contains("no-such-directory"), failure.err());
        Assert.assertEquals(failure.err().strip().lines().count(), 1, failure.err());
        Assert.assertEquals(CommandLine.run("info", "--quantization", "w5").exitCode(), 2);
    }
}
