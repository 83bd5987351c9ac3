package ai.djl.nestquant.engine;

import ai.djl.MalformedModelException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.nestquant.checkpoint.ContainerConfig;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.QuantizationConfig;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The text that ships with the project, for which channels are balanced. Stateless and safe for
 * concurrent use.
 */
public final class CalibrationText {

    private static final String RESOURCE = "calibration.txt";

    private CalibrationText() {}

    /**
     * Encodes the text with a model's own tokenizer.
     *
     * @param modelDirectory the model's directory
     * @param quantization what will be coded
     * @return the token ids; empty where nothing is balanced or the model is quantised already
     * @throws IOException if the tokenizer is missing or invalid
     * @throws MalformedModelException if the model is not supported
     */
    public static long[] tokenIds(Path modelDirectory, QuantizationConfig quantization)
            throws IOException, MalformedModelException {
        if (!quantization.balances() || ContainerConfig.describes(modelDirectory)) {
            return new long[0];
        }
        ModelConfig.load(modelDirectory); // if the model is not supported, that is what to say
        Path tokenizerFile = modelDirectory.resolve("tokenizer.json");
        if (!Files.isRegularFile(tokenizerFile)) {
            throw new FileNotFoundException(
                    tokenizerFile
                            + " does not exist: it encodes the text for which channels are"
                            + " balanced; add it, or load with quantization=\""
                            + quantization
                            + ",balance=off\"");
        }
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(modelDirectory)) {
            return tokenizer.encode(read()).getIds();
        }
    }

    private static String read() throws IOException {
        try (InputStream in = CausalLm.class.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                throw new FileNotFoundException(
                        "the library's resource " + RESOURCE + " is missing: its jar is damaged");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
