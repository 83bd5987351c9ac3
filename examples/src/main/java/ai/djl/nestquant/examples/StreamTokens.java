package ai.djl.nestquant.examples;

import ai.djl.inference.Predictor;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.nestquant.engine.GeneratedText;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.nio.file.Path;

/** Prints text as it is generated, with sampling, and stops in the middle of it. */
public final class StreamTokens {

    private static final int ENOUGH = 200;

    private StreamTokens() {}

    /**
     * Runs the example.
     *
     * @param args a HuggingFace model directory; the embedded model if absent
     * @throws Exception if the model cannot be loaded
     */
    public static void main(String[] args) throws Exception {
        Path directory = args.length > 0 ? Path.of(args[0]) : EmbeddedModel.path();
        Criteria<String, GeneratedText> criteria =
                Criteria.builder()
                        .setTypes(String.class, GeneratedText.class)
                        .optEngine("NestQuant")
                        .optModelPath(directory)
                        .optOption("quantization", "w4a8")
                        .optArgument("temperature", 0.8)
                        .optArgument("topP", 0.95)
                        .optArgument("seed", 7)
                        .optArgument("maxNewTokens", 500)
                        .build();
        try (ZooModel<String, GeneratedText> model = criteria.loadModel();
                Predictor<String, GeneratedText> predictor = model.newPredictor();
                GeneratedText pieces =
                        predictor.streamingPredict("The dragon looked").getIterativeOutput()) {
            int printed = 0;
            while (pieces.hasNext() && printed < ENOUGH) {
                String piece = pieces.next();
                System.out.print(piece);
                System.out.flush();
                printed += piece.length();
            }
            System.out.println(" ...");
        } // closing a text that is not finished cancels the rest
    }
}
