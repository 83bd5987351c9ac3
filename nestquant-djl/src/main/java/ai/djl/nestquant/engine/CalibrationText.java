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
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The text for which channels are balanced and weights are rounded. Stateless and safe for
 * concurrent use.
 */
public final class CalibrationText {

    /** The name of the option that holds a text file. */
    static final String OPTION = "calibration";

    private static final String RESOURCE = "calibration.txt";

    private CalibrationText() {}

    /**
     * Encodes the text with a model's own tokenizer.
     *
     * @param modelDirectory the model's directory
     * @param quantization what will be coded
     * @param file a text file, UTF-8; null for the text that ships with the project
     * @return the token ids; empty where none are needed or the model is quantised already
     * @throws IOException if the tokenizer is missing or invalid, or the file is missing, empty or
     *     not UTF-8
     * @throws MalformedModelException if the model is not supported
     */
    public static long[] tokenIds(Path modelDirectory, QuantizationConfig quantization, Object file)
            throws IOException, MalformedModelException {
        if (!quantization.needsText() || ContainerConfig.describes(modelDirectory)) {
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
            return tokenizer
                    .encode(file == null ? read() : read(Path.of(file.toString())))
                    .getIds();
        }
    }

    private static String read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new FileNotFoundException(
                    file + " does not exist: option " + OPTION + " names a text file, UTF-8");
        }
        try {
            String text = Files.readString(file);
            if (text.isBlank()) {
                throw new IOException(file + " is empty: it is the text to calibrate for");
            }
            return text;
        } catch (CharacterCodingException e) {
            throw new IOException(file + " is not UTF-8 text", e);
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
