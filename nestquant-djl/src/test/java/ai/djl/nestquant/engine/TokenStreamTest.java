package ai.djl.nestquant.engine;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class TokenStreamTest {

    private static final long SEED = 20261122;

    private static final List<String> TEXTS =
            List.of(
                    "",
                    "Once upon a time, there was a little girl.",
                    " leading and  double spaces \n\n\tand a tab",
                    "naïve café, Straße, Привет, 日本語のテキスト",
                    "emoji 😀👩‍👩‍👧 and flags 🇨🇭, rare 𝔘 and a\u0301",
                    "replacement \uFFFD in the middle and at the end \uFFFD");

    @DataProvider
    public static Object[][] models() {
        return new Object[][] {{"demo"}, {"smollm2-135m"}, {"stories260K"}};
    }

    private static String join(TokenStream stream, long... ids) {
        StringBuilder text = new StringBuilder();
        for (long id : ids) {
            if (!stream.isStopped()) {
                String piece = stream.accept(id);
                Assert.assertFalse(endsInsideCharacter(piece), "piece ends inside a character");
                text.append(piece);
            }
        }
        return text.append(stream.flush()).toString();
    }

    private static boolean endsInsideCharacter(String piece) {
        return !piece.isEmpty() && Character.isHighSurrogate(piece.charAt(piece.length() - 1));
    }

    private static long[] encode(HuggingFaceTokenizer tokenizer, String text) {
        return tokenizer.encode(text, false, false).getIds();
    }

    @Test(dataProvider = "models")
    public void piecesTogetherAreTheDecodedText(String model) throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model(model))) {
            for (String text : TEXTS) {
                long[] ids = encode(tokenizer, text);
                String streamed = join(new TokenStream(tokenizer, List.of()), ids);
                Assert.assertEquals(streamed, tokenizer.decode(ids, true));
                Assert.assertEquals(streamed, text);
            }
        }
    }

    @Test(dataProvider = "models")
    public void piecesAfterAContextContinueItsText(String model) throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model(model))) {
            for (String text : TEXTS) {
                long[] ids = encode(tokenizer, text);
                for (int cut = 0; cut <= ids.length; cut++) {
                    long[] context = Arrays.copyOf(ids, cut);
                    String before = tokenizer.decode(context, true);
                    if (before.endsWith("\uFFFD")) {
                        continue; // the cut may be inside a character
                    }
                    long[] rest = Arrays.copyOfRange(ids, cut, ids.length);
                    TokenStream stream = new TokenStream(tokenizer, List.of(), context);
                    Assert.assertEquals(before + join(stream, rest), text, "cut at " + cut);
                }
            }
        }
    }

    @Test
    public void charactersAreGivenOutWhenTheirLastByteIsThere() throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("demo"))) {
            long[] ids = encode(tokenizer, "😀");
            Assert.assertTrue(ids.length > 1, "the character is spread over tokens");
            TokenStream stream = new TokenStream(tokenizer, List.of());
            for (int i = 0; i < ids.length - 1; i++) {
                Assert.assertEquals(stream.accept(ids[i]), "");
            }
            Assert.assertEquals(stream.accept(ids[ids.length - 1]), "😀");
            Assert.assertEquals(stream.flush(), "");
        }
    }

    @Test
    public void randomTokensStreamToTheirDecodedTextEvenWithInvalidBytes() throws IOException {
        for (String model : List.of("demo", "smollm2-135m")) {
            try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model(model))) {
                Random random = new Random(SEED);
                for (int round = 0; round < 200; round++) {
                    // low ids are mostly single bytes, special tokens among them
                    int bound = random.nextBoolean() ? 300 : 2000;
                    long[] ids = random.longs(40, 0, bound).toArray();
                    Assert.assertEquals(
                            join(new TokenStream(tokenizer, List.of()), ids),
                            tokenizer.decode(ids, true),
                            model + ", seed " + SEED + ", ids " + Arrays.toString(ids));
                }
            }
        }
    }

    @Test
    public void validByteFallbackRunsStreamToTheirDecodedText() throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("stories260K"))) {
            Random random = new Random(SEED);
            for (int round = 0; round < 200; round++) {
                StringBuilder text = new StringBuilder();
                for (int i = 0; i < 20; i++) {
                    text.append(random.nextBoolean() ? " a" : "")
                            .append(TEXTS.get(4).charAt(1))
                            .appendCodePoint(0x1F600 + random.nextInt(64));
                }
                long[] ids = encode(tokenizer, text.toString());
                Assert.assertEquals(
                        join(new TokenStream(tokenizer, List.of()), ids), text.toString());
            }
        }
    }

    @Test
    public void specialTokensInsideDoNotSwallowASpace() throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("stories260K"))) {
            long[] once = encode(tokenizer, "Once upon");
            long[] ids = new long[3 * once.length + 3];
            for (int part = 0; part < 3; part++) {
                int start = part * (once.length + 1);
                System.arraycopy(once, 0, ids, start, once.length);
                ids[start + once.length] = 2;
            }
            Assert.assertEquals(
                    join(new TokenStream(tokenizer, List.of()), ids), tokenizer.decode(ids, true));
        }
    }

    @Test(dataProvider = "models")
    public void textEndsBeforeTheFirstStopStringWhereverTokensEnd(String model) throws IOException {
        String text = "One two three.\n\nFour five 😀 six seven.";
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model(model))) {
            long[] ids = encode(tokenizer, text);
            for (String stop : List.of("two", "wo thr", ".\n\nF", "\n", "😀", "seven.", "O", " ")) {
                TokenStream stream = new TokenStream(tokenizer, List.of("zzz", stop));
                Assert.assertEquals(join(stream, ids), text.substring(0, text.indexOf(stop)));
                Assert.assertTrue(stream.isStopped());
            }
            TokenStream unstopped = new TokenStream(tokenizer, List.of("seven..", "fivefive"));
            Assert.assertEquals(join(unstopped, ids), text);
            Assert.assertFalse(unstopped.isStopped());
        }
    }

    @Test
    public void theEarliestOfSeveralStopStringsWins() throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("demo"))) {
            long[] ids = encode(tokenizer, "ababac");
            TokenStream stream = new TokenStream(tokenizer, List.of("c", "abac"));
            Assert.assertEquals(join(stream, ids), "ab");
            Assert.assertThrows(IllegalStateException.class, () -> stream.accept(ids[0]));
        }
    }

    @Test
    public void tokenizersAgreeWithTheReference() throws IOException {
        JsonObject demo = SharedFiles.golden("demo");
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("demo"))) {
            for (JsonElement element : demo.getAsJsonArray("tokenizer_cases")) {
                JsonObject one = element.getAsJsonObject();
                assertIds(tokenizer, one.get("text").getAsString(), one.get("ids"));
            }
            for (JsonElement element : demo.getAsJsonArray("prompts")) {
                JsonObject one = element.getAsJsonObject();
                assertIds(tokenizer, one.get("prompt").getAsString(), one.get("input_ids"));
                assertText(tokenizer, one.get("greedy_ids"), one.get("greedy_text").getAsString());
            }
        }
        JsonObject smol = SharedFiles.golden("smollm2-135m");
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("smollm2-135m"))) {
            for (JsonElement element : smol.getAsJsonArray("tokenizer")) {
                JsonObject one = element.getAsJsonObject();
                assertIds(tokenizer, one.get("text").getAsString(), one.get("ids"));
                // the reference keeps special tokens
                String decoded = tokenizer.decode(longs(one.get("ids")), false);
                Assert.assertEquals(decoded, one.get("decoded").getAsString());
            }
            for (JsonElement element : smol.getAsJsonArray("greedy")) {
                JsonObject one = element.getAsJsonObject();
                // the reference keeps special tokens, which this text has at its end only
                String text = one.get("text").getAsString().replace("<|im_end|>", "");
                assertText(tokenizer, one.get("ids"), text);
            }
        }
    }

    private static long[] longs(JsonElement ids) {
        return ids.getAsJsonArray().asList().stream().mapToLong(JsonElement::getAsLong).toArray();
    }

    private static void assertIds(HuggingFaceTokenizer tokenizer, String text, JsonElement ids) {
        Assert.assertEquals(tokenizer.encode(text).getIds(), longs(ids), text);
    }

    private static void assertText(HuggingFaceTokenizer tokenizer, JsonElement ids, String text) {
        String streamed = join(new TokenStream(tokenizer, List.of()), longs(ids));
        Assert.assertEquals(streamed, text);
    }

    @Test
    public void beginTokenIsAddedWhereTheTokenizerSaysSo() throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("stories260K"))) {
            Assert.assertEquals(tokenizer.encode("Once upon a time").getIds()[0], 1);
        }
    }

    @Test
    public void longTextsAreNotTruncated() throws IOException {
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(SharedFiles.model("demo"))) {
            String text = "one two three ".repeat(2000);
            long[] ids = tokenizer.encode(text).getIds();
            Assert.assertEquals(tokenizer.decode(ids, true), text);
        }
    }

    @Test
    public void missingOrDamagedTokenizerIsRefusedNamingTheFile() throws IOException {
        Path directory = Files.createTempDirectory("nestquant-tokenizer");
        Path file = directory.resolve("tokenizer.json");
        FileNotFoundException missing =
                Assert.expectThrows(FileNotFoundException.class, () -> Tokenizers.open(directory));
        Assert.assertTrue(missing.getMessage().startsWith(file + " does not exist"));
        Files.writeString(file, "{\"model\": 1}");
        try {
            IOException damaged =
                    Assert.expectThrows(IOException.class, () -> Tokenizers.open(directory));
            Assert.assertTrue(
                    damaged.getMessage().startsWith(file + " is no valid tokenizer: "),
                    damaged.getMessage());
        } finally {
            Files.delete(file);
            Files.delete(directory);
        }
    }
}
