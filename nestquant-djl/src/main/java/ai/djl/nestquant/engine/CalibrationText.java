package ai.djl.nestquant.engine;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.engine.Engine;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.ContainerConfig;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.CausalLmLoader;
import ai.djl.nestquant.model.QuantizationConfig;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.LongStream;

/**
 * The text for which channels are balanced and weights are rounded.
 *
 * <p>Unless the caller names a file, it is a short text that ships with the library. Rounding with
 * feedback needs thousands of tokens, so for that the model itself continues each paragraph: text
 * in the language and of the kind that it knows, the same in every run. Stateless and safe for
 * concurrent use.
 */
public final class CalibrationText {

    /** The name of the option that holds a text file. */
    static final String OPTION = "calibration";

    private static final String RESOURCE = "calibration.txt";

    /**
     * What continues the text: coded without calibration, it takes no more memory than the result.
     */
    private static final QuantizationConfig WRITER = QuantizationConfig.parse("w4a8,balance=off");

    /** Tokens after each paragraph. */
    private static final int CONTINUATION = 384;

    private CalibrationText() {}

    /**
     * Encodes the text with a model's own tokenizer.
     *
     * @param modelDirectory the model's directory
     * @param quantization what will be coded
     * @param file a text file, UTF-8; null for the text that ships with the project, continued by
     *     the model where weights are rounded with feedback
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
            if (file == null && quantization.calibrates()) {
                return continued(modelDirectory, tokenizer, read().strip().split("\n\n"));
            }
            return tokenizer
                    .encode(file == null ? read() : read(Path.of(file.toString())))
                    .getIds();
        }
    }

    /** Lets the model continue each paragraph under a fixed seed. */
    private static long[] continued(
            Path modelDirectory, HuggingFaceTokenizer tokenizer, String[] paragraphs)
            throws IOException, MalformedModelException {
        Engine engine = Engine.getEngine(NestQuantEngine.ENGINE_NAME);
        LongStream.Builder ids = LongStream.builder();
        try (NDManager manager = engine.newBaseManager(Device.cpu())) {
            CausalLm model = CausalLmLoader.load(modelDirectory, WRITER, manager);
            int mostPrompt = model.config().maxPositions() / 2;
            for (int i = 0; i < paragraphs.length; i++) {
                long[] encoded = tokenizer.encode(paragraphs[i]).getIds();
                long[] prompt = Arrays.copyOf(encoded, Math.min(encoded.length, mostPrompt));
                GenerationParameters parameters =
                        GenerationParameters.builder()
                                .optTemperature(1)
                                .optSeed(i)
                                .optIgnoreEos(true)
                                .optMaxNewTokens(CONTINUATION)
                                .build();
                try (Generation text =
                        new Generation(model, tokenizer, parameters, prompt, manager, () -> {})) {
                    while (!text.isFinished()) {
                        text.advance();
                    }
                    Arrays.stream(prompt).forEach(ids);
                    text.tokenIds().forEach(ids::add);
                }
            }
        }
        return ids.build().toArray();
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
