package ai.djl.nestquant.cli;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class MainTest {

    private static final String PROMPT = "Once upon a time";

    private Path text;

    @BeforeClass
    public void writeText() throws IOException {
        text = Files.createTempFile("nestquant", ".txt");
        Files.writeString(text, "There was once a fox — très rusé — who lived in a wood.\n");
    }

    @AfterClass
    public void deleteText() throws IOException {
        Files.delete(text);
    }

    private record Outcome(int exitCode, String out, String err) {

        JsonObject json() {
            Assert.assertEquals(exitCode, 0, err);
            Assert.assertEquals(out.strip().lines().count(), 1, out);
            return new Gson().fromJson(out, JsonObject.class);
        }
    }

    private static Outcome run(String... args) {
        return runWithInput("", args);
    }

    private static Outcome runWithInput(String input, String... args) {
        return runWithInput(input.getBytes(StandardCharsets.UTF_8), args);
    }

    private static Outcome runWithInput(byte[] input, String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Streams streams =
                new Streams(
                        new ByteArrayInputStream(input),
                        new PrintStream(out, true, StandardCharsets.UTF_8),
                        new PrintStream(err, true, StandardCharsets.UTF_8));
        int exitCode = Main.run(streams, args);
        return new Outcome(
                exitCode,
                out.toString(StandardCharsets.UTF_8),
                err.toString(StandardCharsets.UTF_8));
    }

    @Test
    public void generateReportsTheseKeys() {
        JsonObject json =
                run("generate", "--prompt", PROMPT, "--max-tokens", "5", "--greedy", "--json")
                        .json();
        Assert.assertEquals(
                List.copyOf(json.keySet()),
                List.of(
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
        Assert.assertEquals(json.get("generatedTokens").getAsInt(), 5);
        Assert.assertEquals(json.getAsJsonArray("tokenIds").size(), 5);
        Assert.assertEquals(json.get("finishReason").getAsString(), "length");
        Assert.assertTrue(json.get("promptTokens").getAsInt() > 0);
        Assert.assertTrue(json.get("weightBytes").getAsLong() > 1_000_000);
        Assert.assertTrue(json.get("kernels").getAsJsonPrimitive().isString());
    }

    @Test
    public void perplexityReportsTheseKeys() {
        Outcome outcome =
                run(
                        "perplexity",
                        "--text",
                        text.toString(),
                        "--context",
                        "8",
                        "--windows",
                        "2",
                        "--json");
        JsonObject json = outcome.json();
        Assert.assertEquals(
                List.copyOf(json.keySet()),
                List.of("perplexity", "tokens", "windows", "bitsPerWeight", "seconds"));
        Assert.assertEquals(json.get("tokens").getAsInt(), 16);
        Assert.assertEquals(json.get("windows").getAsInt(), 2);
        Assert.assertTrue(json.get("perplexity").getAsDouble() > 1);
        Assert.assertTrue(outcome.err().contains("windows"), "progress on standard error");
    }

    @Test
    public void tokenIdsStandForTheTextAndBatchesForSingleWindows() throws IOException {
        Path ids = Files.createTempFile("nestquant", ".ids");
        try {
            Files.writeString(ids, "5, 6\n7 8,9 10 11 12 13 14\n");
            String[] args = {
                "perplexity", "--text", ids.toString(), "--token-ids", "--json", "--context", "4"
            };
            JsonObject json = run(with(args, "--stride", "2")).json();
            Assert.assertEquals(json.get("tokens").getAsInt(), 10);
            Assert.assertEquals(json.get("windows").getAsInt(), 4);
            double single = run(args).json().get("perplexity").getAsDouble();
            double batched = run(with(args, "--batch", "2")).json().get("perplexity").getAsDouble();
            Assert.assertEquals(batched, single, 1e-4 * single); // float32 products in two shapes
            assertError(run(with(args, "--stride", "5")), 2, "--stride is 5, but a window has 4");
            Files.writeString(ids, "5 x");
            assertError(run(args), 1, ids + ": entry 1, \"x\", is no token id");
        } finally {
            Files.delete(ids);
        }
    }

    @Test
    public void evaluateReportsTheseKeys() throws IOException {
        Path data = Files.createTempFile("nestquant", ".jsonl");
        try {
            String line = "{\"goal\":\"Catch a fox\",\"sol1\":\"with a trap\",\"sol2\":\"by";
            Files.writeString(data, (line + " asking\",\"label\":0}\n").repeat(3));
            String[] args = {"evaluate", "--task", "piqa", "--data", data.toString(), "--json"};
            Outcome outcome = run(with(args, "--limit", "2"));
            JsonObject json = outcome.json();
            Assert.assertEquals(
                    List.copyOf(json.keySet()),
                    List.of("task", "examples", "acc", "accNorm", "stderr", "seconds"));
            Assert.assertEquals(json.get("task").getAsString(), "piqa");
            Assert.assertEquals(json.get("examples").getAsInt(), 2);
            Assert.assertTrue(outcome.err().contains("continuations"), "progress");
            // all three are alike
            Assert.assertEquals(json.get("acc").getAsDouble() % 1, 0.0);
            Files.writeString(data, "{\"text\":\"Once upon a time there was a fox\"}\n");
            JsonObject word =
                    run("evaluate", "--task", "lambada", "--data", data.toString(), "--json")
                            .json();
            Assert.assertTrue(word.get("perplexity").getAsDouble() > 1);
            assertError(run(args), 1, data + ", line 1 is no piqa example: \"goal\" must be");
        } finally {
            Files.delete(data);
        }
    }

    @Test
    public void overheadOfAllStagesAddsUp() throws IOException {
        Path plot = Files.createTempFile("nestquant", ".png");
        try {
            String[] args = {
                "overhead", "--json", "--prompt-tokens", "20", "--steps", "3", "--rounds", "1"
            };
            JsonObject json =
                    run(with(args, "--plot", plot.toString(), "--quantization", "w4a4kv4")).json();
            Assert.assertEquals(json.getAsJsonArray("rows").size(), 2);
            for (JsonElement element : json.getAsJsonArray("rows")) {
                JsonObject row = element.getAsJsonObject();
                double sum = 0;
                for (String stage :
                        List.of("rotation", "encoding", "decoding", "products", "hostEngine")) {
                    Assert.assertTrue(row.get(stage).getAsDouble() > 0, stage + " of " + row);
                    sum += row.get(stage).getAsDouble();
                }
                Assert.assertEquals(row.get("total").getAsDouble(), sum, 1e-9 * sum);
            }
            Assert.assertTrue(Files.size(plot) > 0);
            JsonObject plain = run(with(args, "--quantization", "none")).json();
            JsonObject step = plain.getAsJsonArray("rows").get(1).getAsJsonObject();
            Assert.assertEquals(step.get("products").getAsDouble(), 0.0);
            assertError(run("overhead", "--steps", "1024"), 2, "--prompt-tokens and --steps are");
        } finally {
            Files.delete(plot);
        }
    }

    @Test
    public void benchReportsTheseKeys() {
        String[] args = {
            "bench", "--json", "--prompt", "4,6", "--generate", "2", "--repetitions", "2"
        };
        Outcome outcome = run(with(args, "--depth", "9"));
        JsonObject json = outcome.json();
        Assert.assertEquals(
                List.copyOf(json.keySet()),
                List.of(
                        "model",
                        "quantization",
                        "bitsPerWeight",
                        "weightBytes",
                        "kernels",
                        "bandwidthGBs",
                        "rows"));
        Assert.assertTrue(json.get("bandwidthGBs").getAsDouble() > 0);
        List<String> tests = new ArrayList<>();
        for (JsonElement element : json.getAsJsonArray("rows")) {
            JsonObject row = element.getAsJsonObject();
            tests.add(row.get("test").getAsString());
            Assert.assertEquals(
                    List.copyOf(row.keySet()),
                    List.of("test", "tokensPerSecond", "deviation", "threads", "samples"));
            Assert.assertTrue(row.get("tokensPerSecond").getAsDouble() > 0, row.toString());
            Assert.assertTrue(row.get("threads").getAsInt() > 0, row.toString());
            Assert.assertEquals(row.getAsJsonArray("samples").size(), 2);
        }
        Assert.assertEquals(tests, List.of("pp4", "pp6", "tg2", "pp4@9", "pp6@9", "tg2@9"));
        Assert.assertTrue(outcome.err().contains("runs"), "progress on standard error");
    }

    @Test
    public void benchMeasuresRandomWeightsOfAShape() {
        String[] args = {
            "bench",
            "--shape",
            "smollm2-135m",
            "--prompt",
            "5",
            "--generate",
            "1",
            "--repetitions",
            "1"
        };
        JsonObject standard = run(with(args, "--json")).json();
        Assert.assertEquals(standard.get("quantization").getAsString(), "w4a8");
        JsonObject json = run(with(args, "--quantization", "w3a8kv4", "--json")).json();
        Assert.assertEquals(json.get("model").getAsString(), "smollm2-135m");
        Assert.assertEquals(json.get("bitsPerWeight").getAsDouble(), 3.25, 0.02);
        Assert.assertEquals(json.getAsJsonArray("rows").size(), 2);
        Outcome table = run(with(args, "--quantization", "none"));
        Assert.assertEquals(table.exitCode(), 0, table.err());
        Assert.assertTrue(table.out().contains("kernels                PyTorch\n"), table.out());
        assertError(
                run(with(args, "--quantization", "w4,code=int4", "--json")),
                1,
                "random weights are made packed");
    }

    @Test
    public void infoReportsTheseKeys() {
        JsonObject json = run("info", "--json").json();
        Assert.assertEquals(
                List.copyOf(json.keySet()),
                List.of(
                        "architecture",
                        "parameters",
                        "quantizedParameters",
                        "bitsPerWeight",
                        "weightBytes",
                        "kernels",
                        "layers",
                        "kvBytesPerToken",
                        "kvBytes"));
        Assert.assertEquals(json.get("architecture").getAsString(), "llama");
        Assert.assertEquals(json.get("parameters").getAsLong(), 2_755_008);
        Assert.assertEquals(json.get("quantizedParameters").getAsLong(), 2_359_296);
        Assert.assertEquals(json.get("layers").getAsInt(), 6);
        Assert.assertTrue(json.get("bitsPerWeight").getAsDouble() <= 4.3);
    }

    @Test
    public void perplexityAgainstAReferenceReportsDivergenceAndAgreement() {
        String[] args = {
            "perplexity", "--text", text.toString(), "--context", "8", "--json", "--against", "none"
        };
        JsonObject coded = run(args).json();
        Assert.assertEquals(
                List.copyOf(coded.keySet()).subList(5, 7),
                List.of("klDivergence", "top1Agreement"));
        Assert.assertTrue(coded.get("klDivergence").getAsDouble() > 0);
        Assert.assertTrue(coded.get("top1Agreement").getAsDouble() > 0.5);
        JsonObject paired = coded.getAsJsonObject("paired");
        for (String key : List.of("level", "batches", "referencePerplexity", "gap")) {
            Assert.assertTrue(paired.has(key), key);
        }
        JsonObject same = run(with(args, "--quantization", "none")).json();
        Assert.assertEquals(same.getAsJsonObject("paired").get("gap").getAsDouble(), 0.0);
        Assert.assertEquals(same.get("klDivergence").getAsDouble(), 0.0);
        Assert.assertEquals(same.get("top1Agreement").getAsDouble(), 1.0);
        assertError(
                run("perplexity", "--text", text.toString(), "--against", "no/such"),
                2,
                "--against is no directory: unknown quantization \"no/such\"");
    }

    @Test
    public void codedCacheTakesWhatItsFormatSays() {
        int vectors = 2 * 6 * 2; // keys and values, layers, heads; 32 entries each
        String[] args = {"info", "--json", "--context", "1000", "--quantization"};
        JsonObject coded = run(with(args, "w4kv4")).json();
        JsonObject plain = run(with(args, "w4")).json();
        Assert.assertEquals(plain.get("kvBytesPerToken").getAsDouble(), vectors * 128.0);
        // 4 words, 4 times two bits and the exponent of a scale
        Assert.assertEquals(coded.get("kvBytesPerToken").getAsDouble(), vectors * 18.0);
        Assert.assertEquals(coded.get("kvBytes").getAsLong(), vectors * 18_000L);
        assertError(run("info", "--context", "1025"), 2, "--context is 1025, but the model has");
        assertError(run("info", "--context", "0"), 2, "--context is 0");
    }

    @Test
    public void floatModelHasNoQuantizedParameters() {
        JsonObject json = run("info", "--json", "--quantization", "none").json();
        Assert.assertEquals(json.get("quantizedParameters").getAsLong(), 0);
        Assert.assertEquals(json.get("bitsPerWeight").getAsDouble(), 32.0);
        Assert.assertEquals(json.get("kernels").getAsString(), "PyTorch");
    }

    @Test
    public void promptMayBeAnOptionAnArgumentOrStandardInput() {
        String[] rest = {"generate", "--greedy", "--max-tokens", "4", "--json"};
        String text = run(with(rest, "--prompt", PROMPT)).json().get("text").getAsString();
        Assert.assertFalse(text.isEmpty());
        for (Outcome same :
                List.of(
                        run(with(rest, PROMPT)),
                        runWithInput(PROMPT + "\n", with(rest, "-")),
                        runWithInput(PROMPT, with(rest, "--prompt", "-")))) {
            Assert.assertEquals(same.json().get("text").getAsString(), text);
        }
    }

    private static String[] with(String[] args, String... more) {
        List<String> all = new ArrayList<>(List.of(args));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    @Test
    public void equalSeedsGiveEqualTextsAndStopStringsEndThem() {
        String[] args = {
            "generate",
            PROMPT,
            "--temperature",
            "1",
            "--top-k",
            "50",
            "--top-p",
            "0.9",
            "--repetition-penalty",
            "1.1",
            "--max-tokens",
            "12",
            "--seed",
            "-5",
            "--json"
        };
        String text = run(args).json().get("text").getAsString();
        Assert.assertEquals(run(args).json().get("text").getAsString(), text);
        String stop = text.substring(text.length() / 2, text.length() / 2 + 2);
        JsonObject stopped = run(with(args, "--stop", "\0", "--stop", stop)).json();
        Assert.assertEquals(
                stopped.get("text").getAsString(), text.substring(0, text.indexOf(stop)));
        Assert.assertEquals(stopped.get("finishReason").getAsString(), "stop");
    }

    @Test
    public void withoutJsonPeopleGetTheTextAndItsFigures() {
        Outcome outcome = run("generate", PROMPT, "--greedy", "--max-tokens", "4");
        Assert.assertEquals(outcome.exitCode(), 0, outcome.err());
        Assert.assertTrue(outcome.out().startsWith(PROMPT), outcome.out());
        Assert.assertTrue(outcome.out().contains("bits per Linear weight"), outcome.out());
        Assert.assertTrue(run("info").out().contains("architecture           llama\n"));
        Outcome perplexity = run("perplexity", "--text", text.toString());
        Assert.assertTrue(perplexity.out().startsWith("perplexity  "), perplexity.out());
    }

    @DataProvider
    public static Object[][] wrongUsage() {
        return new Object[][] {
            {new String[] {"translate"}, "Unmatched arguments from index 0: 'translate'"},
            {new String[] {"generate"}, "give one prompt"},
            {new String[] {"generate", "a", "--prompt", "b"}, "give one prompt"},
            {new String[] {"generate", "a", "b"}, "Unmatched argument at index 2: 'b'"},
            {new String[] {"generate", "a", "--top-k", "-1"}, "argument \"topK\" must be"},
            {new String[] {"generate", "a", "--top-p", "2"}, "argument \"topP\" must be"},
            {new String[] {"generate", "a", "--top-p", "x"}, "Invalid value for option '--top-p'"},
            {new String[] {"generate", "a", "--max-tokens", "0"}, "argument \"maxNewTokens\""},
            {new String[] {"generate", "a", "--stop", ""}, "argument \"stop\" must be"},
            {
                new String[] {"generate", "a", "--greedy", "--temperature", "1"},
                "--greedy and --temperature 1.0 exclude each other"
            },
            {new String[] {"info", "--beams", "4"}, "Unknown options: '--beams', '4'"},
            {
                new String[] {"info", "--quantization", "w2"},
                "Invalid value for option '--quantization': unknown quantization \"w2\""
            },
            {new String[] {"info", "--threads", "0"}, "--threads is 0"},
            {
                new String[] {"bench", "--shape", "gpt-2"},
                "Invalid value for option '--shape': unknown shape \"gpt-2\"; known are llama-3.2-1b"
            },
            {
                new String[] {"bench", "--shape", "llama-3-8b", "--model", "x"},
                "--model and --shape exclude each other"
            },
            {new String[] {"bench", "--prompt", "0", "--generate", "0"}, "neither a prompt nor"},
            {new String[] {"bench", "--prompt", "-1"}, "a prompt cannot be -1 tokens"},
            {new String[] {"bench", "--repetitions", "0"}, "repetitions are 0, but must be"},
            {
                new String[] {"bench", "--depth", "1000"},
                "--depth and tokens are up to 1128 together"
            },
            {new String[] {"perplexity"}, "Missing required option: '--text=FILE'"},
            {new String[] {"perplexity", "--text", "x", "--context", "1"}, "--context is 1"},
            {new String[] {"perplexity", "--text", "x", "--windows", "-1"}, "--windows is -1"},
            {new String[] {"compare"}, "Missing required option: '--text=FILE'"},
            {new String[] {"compare", "--text", "x", "--context", "1"}, "--context is 1"},
            {new String[] {"compare", "--text", "x", "--windows", "-1"}, "--windows is -1"},
            {
                new String[] {"compare", "--text", "x", "--methods", "w4;w9"},
                "--methods: unknown quantization \"w9\""
            },
            {
                new String[] {"compare", "--text", "x", "--html", "no/such/file"},
                "the folder of no/such/file does not exist"
            },
            {new String[] {"evaluate", "--data", "x"}, "Missing required option: '--task=NAME'"},
            {
                new String[] {"evaluate", "--data", "x", "--task", "boolq"},
                "--task: unknown task \"boolq\"; known are piqa, arc,"
            },
            {
                new String[] {"evaluate", "--data", "x", "--task", "arc", "--limit", "-1"},
                "--limit is -1"
            },
            {new String[] {"perplexity", "--text", "x", "--stride", "0"}, "--stride is 0"},
            {new String[] {"perplexity", "--text", "x", "--batch", "0"}, "--batch is 0"},
            {
                new String[] {"info", "--quantization", "w4,rotation=no"},
                "Invalid value for option '--quantization': rotation=no: rotation is one of on, off"
            },
            {
                new String[] {"quantize", "--out", "x", "--quantization", "w4,code=rtn"},
                "--quantization: code=rtn is simulated in floats"
            },
            {new String[] {"verify"}, "say which folder to check"},
            {new String[] {"verify", "x", "--model", "y"}, "say which folder to check"},
        };
    }

    @Test(dataProvider = "wrongUsage")
    public void wrongUsageIsExitCodeTwoAndOneLine(String[] args, String message) {
        assertError(run(with(args, "--json")), 2, message);
    }

    @Test
    public void failureIsExitCodeOneAndOneLine() throws IOException {
        assertError(run("info", "--json", "--model", "no/such"), 1, "no/such is not a directory");
        assertError(run("perplexity", "--json", "--text", "no/such"), 1, "no/such does not exist");
        assertError(
                run("info", "--json", "--quantization", "w4,exclude=*.dwn_proj"),
                1,
                "exclude=*.dwn_proj names no block of this model");
        Path directory = Files.createTempDirectory("nestquant-empty");
        assertError(
                run("generate", "--chat", "Hello", "--model", directory.toString()),
                1,
                directory.resolve("tokenizer_config.json") + " has no key 'chat_template'");
        assertError(
                run("perplexity", "--json", "--text", directory.toString()),
                1,
                directory + " is a directory");
        Path latin = Files.createTempFile("nestquant", ".txt");
        try {
            assertError(
                    run("info", "--json", "--model", directory.toString()),
                    1,
                    directory.toString());
            Files.write(latin, "tr\u00e8s".getBytes(StandardCharsets.ISO_8859_1));
            assertError(
                    run("perplexity", "--json", "--text", latin.toString()),
                    1,
                    latin + " is not UTF-8 text");
        } finally {
            Files.delete(latin);
            Files.delete(directory);
        }
    }

    @Test
    public void aPromptThatCannotBeContinuedIsNotPrinted() {
        assertError(
                runWithInput("hello ".repeat(1024), "generate", "-", "--quantization", "none"),
                1,
                "the prompt has ");
        assertError(
                runWithInput(new byte[] {'a', (byte) 0xe8}, "generate", "-"),
                1,
                "standard input is not UTF-8 text");
    }

    @Test
    public void contextBeyondTheModelsPositionsIsWrongUsage() {
        assertError(
                run("perplexity", "--json", "--text", text.toString(), "--context", "1025"),
                2,
                "--context is 1025, but the model has 1024 positions");
        assertError(
                run("compare", "--json", "--text", text.toString(), "--context", "1025"),
                2,
                "--context is 1025, but the model has 1024 positions");
    }

    private static void assertError(Outcome outcome, int exitCode, String message) {
        Assert.assertEquals(outcome.exitCode(), exitCode, outcome.err());
        Assert.assertEquals(outcome.out(), "");
        List<String> lines = outcome.err().lines().toList();
        Assert.assertEquals(lines.size(), 1, outcome.err());
        Assert.assertTrue(lines.get(0).startsWith("nestquant: " + message), outcome.err());
    }

    @Test
    public void verboseAddsTheStackTrace() {
        Outcome outcome = run("info", "--model", "no/such", "--verbose");
        Assert.assertEquals(outcome.exitCode(), 1);
        Assert.assertTrue(outcome.err().contains("\tat ai.djl.nestquant."), outcome.err());
    }

    @Test
    public void helpIsAResult() {
        for (String[] args :
                new String[][] {
                    {"--help"}, {"generate", "--help"}, {"study", "-h"}, {"--version"}
                }) {
            Outcome outcome = run(args);
            Assert.assertEquals(outcome.exitCode(), 0);
            Assert.assertFalse(outcome.out().isEmpty());
            Assert.assertEquals(outcome.err(), "");
        }
        Outcome nothing = run();
        Assert.assertEquals(nothing.exitCode(), 2);
        Assert.assertEquals(nothing.out(), "");
    }

    @Test
    public void readerThatHasGoneEndsTheCommand() {
        OutputStream closed =
                new OutputStream() {
                    @Override
                    public void write(int b) throws IOException {
                        throw new IOException("Broken pipe");
                    }
                };
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Streams streams =
                new Streams(System.in, new PrintStream(closed), new PrintStream(err, true));
        Assert.assertEquals(Main.run(streams, "generate", PROMPT, "--max-tokens", "1000"), 1);
        Assert.assertTrue(err.toString().contains("standard output is closed"), err.toString());
    }

    @Test
    public void quantizedFoldersReportTheseKeysAndVerify() throws IOException {
        Path folder = Files.createTempDirectory("nestquant");
        String out = folder.resolve("demo-w4").toString();
        List<String> keys =
                List.of("bitsPerWeight", "bytes", "seconds", "peakResidentBytes", "layers");
        JsonObject predicted = run("quantize", "--dry-run", "--json").json();
        JsonObject written = run("quantize", "--out", out, "--json").json();
        JsonObject verified = run("verify", out, "--json").json();
        for (JsonObject report : List.of(predicted, written, verified)) {
            Assert.assertEquals(List.copyOf(report.keySet()), keys);
            Assert.assertEquals(report.get("layers").getAsInt(), 6);
            Assert.assertEquals(
                    report.get("bitsPerWeight").getAsDouble(),
                    written.get("bitsPerWeight").getAsDouble(),
                    1e-9);
        }
        Outcome again = run("quantize", "--out", out);
        Assert.assertEquals(again.exitCode(), 1);
        Assert.assertTrue(again.err().contains("exists already"), again.err());
        Assert.assertEquals(
                run(
                                "generate",
                                "--model",
                                out,
                                "--prompt",
                                PROMPT,
                                "--greedy",
                                "--max-tokens",
                                "5",
                                "--json")
                        .json()
                        .get("text"),
                run("generate", "--prompt", PROMPT, "--greedy", "--max-tokens", "5", "--json")
                        .json()
                        .get("text"));
        Files.writeString(Path.of(out, "tokenizer_config.json"), "{}");
        Outcome changed = run("verify", out);
        Assert.assertEquals(changed.exitCode(), 1);
        Assert.assertTrue(
                changed.err().contains("tokenizer_config.json: has 2 bytes"), changed.err());
        Assert.assertEquals(run("quantize").exitCode(), 2);
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
