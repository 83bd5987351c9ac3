package ai.djl.nestquant.integration;

import ai.djl.inference.Predictor;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.engine.FinishReason;
import ai.djl.nestquant.engine.GeneratedText;
import ai.djl.nestquant.engine.NestQuantBlockFactory;
import ai.djl.nestquant.engine.TextGenerationTranslatorFactory;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.WeightSummary;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.training.ParameterStore;
import ai.djl.translate.TranslateException;
import ai.djl.util.JsonUtils;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Text generation through DJL's API. */
public class TextGenerationTest {

    private static final String PROMPT = "Once upon a time there lived a king";

    /** Behind these tokens another order of summation may choose differently. */
    private static final String DECISIVE_TOKENS = "tokens_before_margin_below_0.01";

    private static Criteria.Builder<String, GeneratedText> criteria(Path directory) {
        return Criteria.builder()
                .setTypes(String.class, GeneratedText.class)
                .optEngine("NestQuant")
                .optModelPath(directory)
                .optArgument("temperature", 0)
                .optArgument("maxNewTokens", 24);
    }

    @Test
    public void floatDemoModelGivesTheReferenceTexts() throws Exception {
        Path directory = TestModels.demo();
        Criteria<String, GeneratedText> criteria =
                criteria(directory)
                        .optOption("quantization", "none")
                        .optArgument("maxNewTokens", 64)
                        .optArgument("ignoreEos", true)
                        .build();
        try (ZooModel<String, GeneratedText> model = criteria.loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor()) {
            for (JsonElement element : TestModels.golden(directory).getAsJsonArray("prompts")) {
                JsonObject golden = element.getAsJsonObject();
                GeneratedText text = predictor.predict(golden.get("prompt").getAsString());
                Assert.assertEquals(text.tokenIds(), ids(golden.getAsJsonArray("greedy_ids")));
                Assert.assertEquals(text.text(), golden.get("greedy_text").getAsString());
                Assert.assertEquals(text.promptTokens(), golden.getAsJsonArray("input_ids").size());
            }
        }
    }

    @Test
    public void floatStoriesModelTellsTheReferenceStory() throws Exception {
        Criteria<String, GeneratedText> criteria =
                criteria(TestModels.stories260K())
                        .optOption("quantization", "none")
                        .optArgument("maxNewTokens", 64)
                        .build();
        try (ZooModel<String, GeneratedText> model = criteria.loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor()) {
            String text = "Once upon a time" + predictor.predict("Once upon a time").text();
            String expected =
                    "Once upon a time, there was a little girl named Lily. She loved to play"
                            + " outside in the park. One day, she saw a big, red ball.";
            Assert.assertTrue(text.startsWith(expected), text);
        }
    }

    @Test
    public void floatSmolLm2GivesTheReferenceTextsWhileTheyAreDecisive() throws Exception {
        Path directory = TestModels.smolLm2();
        JsonArray references = TestModels.golden(directory).getAsJsonArray("greedy");
        Criteria<String, GeneratedText> criteria =
                criteria(directory)
                        .optOption("quantization", "none")
                        .optArgument("maxNewTokens", 32)
                        .build();
        try (ZooModel<String, GeneratedText> model = criteria.loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor()) {
            for (JsonElement element : references) {
                JsonObject golden = element.getAsJsonObject();
                List<Integer> expected = ids(golden.getAsJsonArray("ids"));
                int decisive = golden.get(DECISIVE_TOKENS).getAsInt();
                Assert.assertTrue(decisive > 4, "the reference is decisive for " + decisive);
                List<Integer> actual =
                        predictor.predict(golden.get("prompt").getAsString()).tokenIds();
                int compared = Math.min(decisive, actual.size());
                Assert.assertEquals(actual.subList(0, compared), expected.subList(0, compared));
            }
        }
    }

    @Test
    public void quantisedModelTakesAtMostFourPointThreeBitsAndAnswers() throws Exception {
        Criteria<String, String> criteria =
                Criteria.builder()
                        .setTypes(String.class, String.class)
                        .optEngine("NestQuant")
                        .optModelPath(TestModels.demo())
                        .optOption("quantization", "w4")
                        .build();
        try (ZooModel<String, String> model = criteria.loadModel();
                Predictor<String, String> predictor = model.newPredictor()) {
            WeightSummary weights = WeightSummary.of(model.getBlock());
            Assert.assertEquals(weights.parameters(), 2_755_008);
            Assert.assertEquals(weights.quantizedParameters(), 2_359_296);
            Assert.assertTrue(weights.bitsPerWeight() <= 4.3, weights.toString());
            Assert.assertFalse(predictor.predict(PROMPT).isBlank());
        }
    }

    /**
     * What such texts cost the float model is 1.2 nats a token (demo) and 1.1 (SmolLM2); a text
     * that falls apart costs 4 and more.
     */
    private static final double FLUENT = 2;

    @DataProvider
    public Object[][] fluentModels() throws Exception {
        return new Object[][] {
            {"models/demo", PROMPT}, {"models/smollm2-135m", "The capital of France is"}
        };
    }

    @Test(dataProvider = "fluentModels")
    public void greedyTextOfFullyQuantisedModelIsFluentToTheFloatModel(String name, String prompt)
            throws Exception {
        Path directory = name.endsWith("demo") ? TestModels.demo() : TestModels.smolLm2();
        GeneratedText text;
        try (ZooModel<String, GeneratedText> model =
                        criteria(directory)
                                .optOption("quantization", "w4a4kv4")
                                .optArgument("maxNewTokens", 48)
                                .optArgument("ignoreEos", true)
                                .build()
                                .loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor()) {
            text = predictor.predict(prompt);
        }
        long[] ids = text.tokenIds().stream().mapToLong(Integer::longValue).toArray();
        Assert.assertEquals(ids.length, 48);
        try (ZooModel<String, GeneratedText> model =
                        criteria(directory).optOption("quantization", "none").build().loadModel();
                NDManager manager = model.getNDManager().newSubManager()) {
            ParameterStore store = new ParameterStore(manager, false);
            NDArray input = manager.create(ids, new Shape(1, ids.length));
            CausalLm lm = (CausalLm) model.getBlock();
            NDArray logits = lm.logits(store, input, null, false);
            NDArray losses = logits.get(0).get(":-1").logSoftmax(-1).neg();
            NDArray next = input.get(0).get("1:").reshape(-1, 1);
            double loss = losses.gather(next, 1).mean().getFloat();
            Assert.assertTrue(loss < FLUENT, loss + " nats a token: " + text.text());
        }
    }

    @Test
    public void blockFactoryOnPyTorchGivesTheSameText() throws Exception {
        Criteria<String, String> criteria =
                Criteria.builder()
                        .setTypes(String.class, String.class)
                        .optEngine("PyTorch")
                        .optModelPath(TestModels.demo())
                        .optArgument("blockFactory", new NestQuantBlockFactory())
                        .optArgument("quantization", "w4a8")
                        .optArgument("temperature", 0)
                        .optArgument("maxNewTokens", 24)
                        .optOption("hasParameter", "false")
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .build();
        try (ZooModel<String, String> model = criteria.loadModel();
                Predictor<String, String> predictor = model.newPredictor();
                ZooModel<String, GeneratedText> other =
                        criteria(TestModels.demo()).build().loadModel();
                Predictor<String, GeneratedText> otherPredictor = other.newPredictor()) {
            Assert.assertEquals(predictor.predict(PROMPT), otherPredictor.predict(PROMPT).text());
        }
    }

    @Test
    public void streamedPiecesAreTheWholeText() throws Exception {
        try (ZooModel<String, GeneratedText> model =
                        criteria(TestModels.demo()).build().loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor()) {
            String whole = predictor.predict(PROMPT).text();
            List<String> pieces = new ArrayList<>();
            try (GeneratedText text = predictor.streamingPredict(PROMPT).getIterativeOutput()) {
                text.forEachRemaining(pieces::add);
                Assert.assertEquals(text.finishReason(), FinishReason.LENGTH);
            }
            Assert.assertEquals(String.join("", pieces), whole);
            Assert.assertTrue(pieces.size() > 10, pieces.toString());
        }
    }

    @Test
    public void cancelledTextKeepsWhatItHasAndEnds() throws Exception {
        try (ZooModel<String, GeneratedText> model =
                        criteria(TestModels.demo()).build().loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor();
                GeneratedText text = predictor.streamingPredict(PROMPT).getIterativeOutput()) {
            String first = text.next();
            text.cancel();
            Assert.assertFalse(text.hasNext());
            Assert.assertEquals(text.finishReason(), FinishReason.CANCELLED);
            Assert.assertEquals(text.text(), first);
        }
    }

    @Test
    public void stopStringEndsTheTextInFrontOfIt() throws Exception {
        try (ZooModel<String, GeneratedText> model =
                        criteria(TestModels.demo()).build().loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor()) {
            String whole = predictor.predict(PROMPT).text();
            String stop = whole.substring(10, 14);
            try (ZooModel<String, GeneratedText> stopping =
                            criteria(TestModels.demo())
                                    .optArgument("stop", List.of(stop))
                                    .build()
                                    .loadModel();
                    Predictor<String, GeneratedText> stoppingPredictor = stopping.newPredictor()) {
                GeneratedText text = stoppingPredictor.predict(PROMPT);
                Assert.assertEquals(text.text(), whole.substring(0, whole.indexOf(stop)));
                Assert.assertEquals(text.finishReason(), FinishReason.STOP);
            }
        }
    }

    @Test
    public void equalSeedsGiveEqualTextsAndOthersDiffer() throws Exception {
        List<String> texts = new ArrayList<>();
        for (int seed : new int[] {7, 7, 8}) {
            Criteria<String, GeneratedText> criteria =
                    criteria(TestModels.demo())
                            .optArgument("temperature", 1.0)
                            .optArgument("seed", seed)
                            .build();
            try (ZooModel<String, GeneratedText> model = criteria.loadModel();
                    Predictor<String, GeneratedText> predictor = model.newPredictor()) {
                texts.add(predictor.predict(PROMPT).text());
            }
        }
        Assert.assertEquals(texts.get(0), texts.get(1));
        Assert.assertNotEquals(texts.get(0), texts.get(2));
    }

    @Test
    public void interleavedPredictorsGiveWhatTheyGiveAlone() throws Exception {
        String otherPrompt = "The old woman looked at the boy and said";
        try (ZooModel<String, GeneratedText> model =
                        criteria(TestModels.demo()).build().loadModel();
                Predictor<String, GeneratedText> one = model.newPredictor();
                Predictor<String, GeneratedText> two = model.newPredictor()) {
            String oneAlone = one.predict(PROMPT).text();
            String twoAlone = two.predict(otherPrompt).text();
            try (GeneratedText a = one.streamingPredict(PROMPT).getIterativeOutput();
                    GeneratedText b = two.streamingPredict(otherPrompt).getIterativeOutput()) {
                while (a.hasNext() | b.hasNext()) { // both advance in turn
                    if (a.hasNext()) {
                        a.next();
                    }
                    if (b.hasNext()) {
                        b.next();
                    }
                }
                Assert.assertEquals(a.text(), oneAlone);
                Assert.assertEquals(b.text(), twoAlone);
            }
        }
    }

    @Test
    public void servingTypesTakeJsonAndStream() throws Exception {
        JsonObject parameters = new JsonObject();
        parameters.addProperty("maxNewTokens", 24);
        JsonObject request = new JsonObject();
        request.addProperty("inputs", PROMPT);
        request.add("parameters", parameters);
        Input input = new Input();
        input.add(JsonUtils.GSON.toJson(request));
        try (ZooModel<Input, Output> model = serving().build().loadModel();
                Predictor<Input, Output> predictor = model.newPredictor();
                ZooModel<String, GeneratedText> other =
                        criteria(TestModels.demo()).build().loadModel();
                Predictor<String, GeneratedText> otherPredictor = other.newPredictor()) {
            String expected = otherPredictor.predict(PROMPT).text();
            Assert.assertEquals(predictor.predict(input).getData().getAsString(), expected);
            Output stream = predictor.streamingPredict(input).getIterativeOutput();
            Assert.assertEquals(stream.getData().getAsString(), expected);
        }
    }

    private static Criteria.Builder<Input, Output> serving() {
        return Criteria.builder()
                .setTypes(Input.class, Output.class)
                .optEngine("NestQuant")
                .optModelPath(TestModels.demo())
                .optArgument("temperature", 0);
    }

    @Test
    public void requestsChangeOnlyTheParametersThatTheyName() throws Exception {
        try (ZooModel<Input, Output> model =
                        serving().optArgument("maxNewTokens", 3).build().loadModel();
                Predictor<Input, Output> predictor = model.newPredictor()) {
            String own = answer(predictor, PROMPT);
            String request = "{\"inputs\": \"" + PROMPT + "\", \"parameters\": ";
            Assert.assertEquals(answer(predictor, request + "{}}"), own);
            String longer = answer(predictor, request + "{\"maxNewTokens\": 6}}");
            Assert.assertTrue(longer.startsWith(own) && longer.length() > own.length(), longer);
        }
    }

    @Test
    public void badRequestsAreToldWhatIsWrong() throws Exception {
        String[][] requests = {
            {"{\"inputs\": \"a\"", "no valid JSON: End of input"},
            {"{\"messages\": \"a\"}", "no valid JSON: Expected BEGIN_ARRAY but was STRING"},
            {"{\"messages\": [null]}", "a chat needs messages, but has [null]"},
            {"{\"messages\": [{\"role\": \"user\"}]}", "a role and a content, but has user, null"},
            {"{}", "either the key \"inputs\" or \"messages\""},
            {
                "{\"inputs\": \"a\", \"parameters\": {\"n\": 1}}",
                "unknown argument \"n\"; known are"
            },
        };
        try (ZooModel<Input, Output> model = serving().build().loadModel();
                Predictor<Input, Output> predictor = model.newPredictor()) {
            for (String[] request : requests) {
                String error =
                        Assert.expectThrows(
                                        TranslateException.class,
                                        () -> answer(predictor, request[0]))
                                .getMessage();
                Assert.assertTrue(error.contains(request[1]) && !error.contains("\n"), error);
            }
        }
    }

    private static String answer(Predictor<Input, Output> predictor, String request)
            throws TranslateException {
        Input input = new Input();
        input.add(request);
        return predictor.predict(input).getData().getAsString();
    }

    private static List<Integer> ids(JsonArray array) {
        List<Integer> ids = new ArrayList<>();
        array.forEach(id -> ids.add(id.getAsInt()));
        return ids;
    }
}
