package ai.djl.nestquant.examples;

import ai.djl.inference.Predictor;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.nio.file.Path;

/** Continues a prompt with a model whose weights are on lattice codes. */
public final class GenerateText {

    private GenerateText() {}

    /**
     * Runs the example.
     *
     * @param args a HuggingFace model directory; the embedded model if absent
     * @throws Exception if the model cannot be loaded
     */
    public static void main(String[] args) throws Exception {
        Path directory = args.length > 0 ? Path.of(args[0]) : EmbeddedModel.path();
        Criteria<String, String> criteria =
                Criteria.builder()
                        .setTypes(String.class, String.class)
                        .optEngine("NestQuant")
                        .optModelPath(directory)
                        .optOption("quantization", "w4a8")
                        .build();
        try (ZooModel<String, String> model = criteria.loadModel();
                Predictor<String, String> predictor = model.newPredictor()) {
            System.out.println(predictor.predict("Once upon a time there was a fox who"));
        }
    }
}
