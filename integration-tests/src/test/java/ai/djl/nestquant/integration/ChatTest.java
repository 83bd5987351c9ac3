package ai.djl.nestquant.integration;

import ai.djl.inference.Predictor;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.nestquant.engine.Chat;
import ai.djl.nestquant.engine.GeneratedText;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ModelNotFoundException;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Conversations through DJL's API and the command line. */
public class ChatTest {

    private static final String QUESTION = "What is the capital of France?";
    private static final String ANSWER = "The capital of France is Paris.";

    private static <I, O> Criteria.Builder<I, O> criteria(
            Class<I> input, Class<O> output, Path directory) {
        return Criteria.builder()
                .setTypes(input, output)
                .optEngine("NestQuant")
                .optModelPath(directory)
                .optOption("quantization", "none")
                .optArgument("temperature", 0)
                .optArgument("maxNewTokens", 12);
    }

    @Test
    public void anInstructedModelAnswersAndListensToWhatWasSaid() throws Exception {
        Path directory = TestModels.smolLm2();
        try (ZooModel<Chat, GeneratedText> model =
                        criteria(Chat.class, GeneratedText.class, directory).build().loadModel();
                Predictor<Chat, GeneratedText> predictor = model.newPredictor()) {
            Chat chat = new Chat().user(QUESTION);
            GeneratedText text = predictor.predict(chat);
            Assert.assertEquals(text.text(), ANSWER);
            Assert.assertEquals(text.promptTokens(), 37);
            Chat longer = chat.assistant(ANSWER).user("And of Spain?");
            Assert.assertEquals(chat.messages().size(), 1);
            GeneratedText next = predictor.predict(longer);
            Assert.assertTrue(next.promptTokens() > 37 + 8, "tokens " + next.promptTokens());
        }
    }

    @Test
    public void servingTakesMessages() throws Exception {
        Path directory = TestModels.smolLm2();
        try (ZooModel<Input, Output> model =
                        criteria(Input.class, Output.class, directory).build().loadModel();
                Predictor<Input, Output> predictor = model.newPredictor()) {
            Input input = new Input();
            input.add("{\"messages\": [{\"role\": \"user\", \"content\": \"" + QUESTION + "\"}]}");
            Assert.assertEquals(predictor.predict(input).getData().getAsString(), ANSWER);
            Input both = new Input();
            both.add("{\"messages\": [], \"inputs\": \"x\"}");
            Throwable error =
                    Assert.expectThrows(TranslateException.class, () -> predictor.predict(both));
            Assert.assertTrue(
                    error.getMessage().contains("\"inputs\" or \"messages\""), "" + error);
        }
    }

    @Test
    public void aModelWithoutTemplateIsRefusedWhenItIsLoaded() throws Exception {
        Criteria<Chat, String> criteria =
                criteria(Chat.class, String.class, TestModels.demo()).build();
        Throwable error =
                Assert.expectThrows(
                        Exception.class,
                        () -> {
                            try (ZooModel<Chat, String> model = criteria.loadModel();
                                    Predictor<Chat, String> predictor = model.newPredictor()) {
                                predictor.predict(new Chat().user("Hello"));
                            }
                        });
        while (error instanceof ModelNotFoundException && error.getCause() != null) {
            error = error.getCause();
        }
        Assert.assertTrue(error.getMessage().contains("no key 'chat_template'"), "" + error);
        CommandLine.Result result = CommandLine.run("generate", "--chat", "--prompt", "Hello");
        Assert.assertEquals(result.exitCode(), 1);
        Assert.assertTrue(result.err().contains("no key 'chat_template'"), result.err());
    }
}
