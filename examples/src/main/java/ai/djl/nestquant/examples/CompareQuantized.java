package ai.djl.nestquant.examples;

import ai.djl.inference.Predictor;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.nestquant.model.WeightSummary;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.nio.file.Path;

/** Answers one prompt with the float model and with the quantised one. */
public final class CompareQuantized {

    private CompareQuantized() {}

    /**
     * Runs the example.
     *
     * @param args a HuggingFace model directory; the embedded model if absent
     * @throws Exception if the model cannot be loaded
     */
    public static void main(String[] args) throws Exception {
        Path directory = args.length > 0 ? Path.of(args[0]) : EmbeddedModel.path();
        for (String quantization : new String[] {"none", "w4a8"}) {
            answer(directory, quantization);
        }
    }

    private static void answer(Path directory, String quantization) throws Exception {
        Criteria<String, String> criteria =
                Criteria.builder()
                        .setTypes(String.class, String.class)
                        .optEngine("NestQuant")
                        .optModelPath(directory)
                        .optOption("quantization", quantization)
                        .optArgument("temperature", 0) // greedy
                        .optArgument("maxNewTokens", 48)
                        .build();
        try (ZooModel<String, String> model = criteria.loadModel();
                Predictor<String, String> predictor = model.newPredictor()) {
            WeightSummary weights = WeightSummary.of(model.getBlock());
            System.out.printf(
                    "%s: %.2f bits per Linear weight, %.1f MB in all%n%s%n%n",
                    quantization,
                    weights.bitsPerWeight(),
                    weights.weightBytes() / 1e6,
                    predictor.predict("Once upon a time there lived a king who"));
        }
    }
}
