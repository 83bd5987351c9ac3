package ai.djl.nestquant.pipeline;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.engine.Chat;
import ai.djl.nestquant.engine.GeneratedText;
import ai.djl.nestquant.engine.NestQuantEngine;
import ai.djl.nestquant.engine.NestQuantModel;
import ai.djl.nestquant.engine.TextGenerationTranslatorFactory;
import ai.djl.nestquant.engine.Tokenizers;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.CodedLayer;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.model.WeightSummary;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.training.ParameterStore;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.util.Progress;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.stream.LongStream;

/**
 * A model loaded through DJL's public interface, and what the commands do with it.
 *
 * <p>Operations may run at the same time; {@link #close} frees the model's native memory and must
 * not run beside anything else.
 */
public final class LanguageModel implements AutoCloseable {

    private static final String HOST_KERNELS = "PyTorch";

    private final ZooModel<String, GeneratedText> model;
    private final Map<String, ?> arguments;
    private final CausalLm block;
    private final WeightSummary weights;

    private LanguageModel(ZooModel<String, GeneratedText> model, Map<String, ?> arguments) {
        this.model = model;
        this.arguments = arguments;
        block = (CausalLm) model.getBlock();
        weights = WeightSummary.of(block);
    }

    /**
     * Loads and quantises a model.
     *
     * @param directory a HuggingFace model directory
     * @param quantization what is coded, see {@link QuantizationConfig}; null for the default, or
     *     what a quantised directory was written with
     * @param calibration the text file to calibrate for, or null for the text that ships with the
     *     project
     * @param arguments how texts are generated, see {@link
     *     ai.djl.nestquant.engine.GenerationParameters}
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     */
    public static LanguageModel open(
            Path directory,
            QuantizationConfig quantization,
            Path calibration,
            Map<String, ?> arguments)
            throws IOException, MalformedModelException {
        return open(directory, quantization, calibration, arguments, null);
    }

    /**
     * Loads and quantises a model for a text, and tells how far it is.
     *
     * @param directory a HuggingFace model directory
     * @param quantization what is coded
     * @param calibration the text file to calibrate for, or null for the text that ships with the
     *     project
     * @param arguments how texts are generated
     * @param progress is told of each layer of a float model; may be null
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     */
    public static LanguageModel open(
            Path directory,
            QuantizationConfig quantization,
            Path calibration,
            Map<String, ?> arguments,
            Progress progress)
            throws IOException, MalformedModelException {
        if (!Files.isDirectory(directory)) {
            throw new FileNotFoundException(
                    directory
                            + " is not a directory: a model is a directory with config.json,"
                            + " tokenizer.json and *.safetensors, as HuggingFace publishes it");
        }
        Map<String, Object> options = new HashMap<>();
        options.put(QuantizationConfig.OPTION, quantization);
        options.put("calibration", calibration);
        options.put(NestQuantModel.PROGRESS, progress);
        options.values().removeIf(Objects::isNull);
        Model loading =
                Model.newInstance(
                        directory.toAbsolutePath().getFileName().toString(),
                        NestQuantEngine.ENGINE_NAME);
        try {
            loading.load(directory, null, options);
            return new LanguageModel(
                    new ZooModel<>(
                            loading,
                            new TextGenerationTranslatorFactory()
                                    .newInstance(
                                            String.class, GeneratedText.class, loading, arguments)),
                    arguments);
        } catch (TranslateException e) {
            loading.close();
            throw new IOException(e.getMessage(), e);
        } catch (IOException | MalformedModelException | RuntimeException e) {
            loading.close();
            throw e;
        }
    }

    /**
     * Describes the model.
     *
     * @param context the tokens whose keys and values are counted
     * @return its architecture and sizes
     */
    public ModelReport describe(int context) {
        double tokenBytes = block.cacheBytesPerToken();
        return new ModelReport(
                block.config().type().key(),
                weights.parameters(),
                weights.quantizedParameters(),
                weights.bitsPerWeight(),
                weights.weightBytes(),
                kernels(),
                block.config().layers(),
                tokenBytes,
                Math.round(tokenBytes * context));
    }

    /** Returns what computes the model's products with coded weights. */
    String kernels() {
        return kernels(block);
    }

    /** Returns what computes a model's products with coded weights. */
    static String kernels(CausalLm block) {
        boolean coded = WeightSummary.of(block).quantizedParameters() > 0;
        return coded ? Kernels.best().name() : HOST_KERNELS;
    }

    /**
     * Returns the model's context length.
     *
     * @return the number of positions
     */
    public int maxPositions() {
        return block.config().maxPositions();
    }

    /** Lists the coded Linear blocks. */
    List<CodedLayer> codedLayers() {
        return CodedLayer.of(block);
    }

    /** Returns the bits that an entry of a key or value takes, or would take if simulated. */
    double cacheBitsPerEntry() {
        return block.cacheBitsPerEntry();
    }

    /** Returns the number of tokens that there are. */
    int vocabularySize() {
        return block.config().vocabularySize();
    }

    /**
     * Continues a prompt with the arguments that the model was opened with.
     *
     * @param prompt the text to continue
     * @param onPiece takes each piece of text, whole characters, as soon as it is certain
     * @return the text and its figures
     * @throws TranslateException if the prompt cannot be continued
     */
    public GenerationReport generate(String prompt, Consumer<String> onPiece)
            throws TranslateException {
        return generate(model.newPredictor(), prompt, onPiece);
    }

    /**
     * Answers a chat with the arguments that the model was opened with.
     *
     * @param chat the messages so far
     * @param onPiece takes each piece of text, whole characters, as soon as it is certain
     * @return the answer and its figures
     * @throws TranslateException if the model has no chat template or it refuses the messages
     */
    public GenerationReport generate(Chat chat, Consumer<String> onPiece)
            throws TranslateException {
        Translator<Chat, GeneratedText> translator =
                new TextGenerationTranslatorFactory()
                        .newInstance(Chat.class, GeneratedText.class, model, arguments);
        return generate(model.newPredictor(translator), chat, onPiece);
    }

    private <I> GenerationReport generate(
            Predictor<I, GeneratedText> opened, I input, Consumer<String> onPiece)
            throws TranslateException {
        try (Predictor<I, GeneratedText> predictor = opened;
                GeneratedText text = predictor.streamingPredict(input).getIterativeOutput()) {
            while (text.hasNext()) {
                onPiece.accept(text.next());
            }
            List<Integer> ids = text.tokenIds();
            return new GenerationReport(
                    text.text(),
                    text.promptTokens(),
                    ids.size(),
                    ids,
                    text.finishReason().toString(),
                    text.prefillTokensPerSecond(),
                    text.stepTokensPerSecond(),
                    weights.bitsPerWeight(),
                    weights.weightBytes(),
                    ProcessMemory.peakResidentBytes(),
                    kernels());
        }
    }

    /**
     * Turns a text into tokens, without special tokens.
     *
     * @param text the text
     * @return its token ids
     * @throws IOException if the tokenizer cannot be read
     */
    public long[] encode(String text) throws IOException {
        return encode(List.of(text)).get(0);
    }

    /** Turns texts into tokens, without special tokens. */
    List<long[]> encode(List<String> texts) throws IOException {
        try (var tokenizer = Tokenizers.open(model.getModelPath())) {
            return texts.stream()
                    .map(text -> tokenizer.encode(text, false, false).getIds())
                    .toList();
        }
    }

    /**
     * Scores the windows of a text.
     *
     * @param windows the windows
     * @param onWindow takes the number of windows done, after each
     * @return the perplexity and its figures
     */
    public PerplexityReport perplexity(TokenWindows windows, IntConsumer onWindow) {
        return perplexity(windows, 1, null, onWindow);
    }

    /**
     * Scores the windows of a text and compares the predictions with those of a reference; each
     * batch of windows passes through both models before the next one does.
     *
     * @param windows the windows
     * @param batch the windows that pass through a model together, positive; they need as much more
     *     memory
     * @param reference the model to compare with, or null
     * @param onWindow takes the number of windows done, after each batch
     * @return the perplexity of this model and its figures, with the divergence from the reference
     * @throws IllegalArgumentException if the vocabularies differ in size
     */
    public PerplexityReport perplexity(
            TokenWindows windows, int batch, LanguageModel reference, IntConsumer onWindow) {
        if (reference != null) {
            checkVocabulary(reference);
        }
        return score(windows, batch, reference == null ? null : reference::logits, onWindow);
    }

    /** Scores windows against the logits of a reference with the same vocabulary, or null. */
    PerplexityReport score(
            TokenWindows windows, int batch, WindowLogits reference, IntConsumer onWindow) {
        return score(windows, batch, this::logits, reference, onWindow);
    }

    /** Scores windows whose logits come from the model through a function. */
    PerplexityReport score(
            TokenWindows windows,
            int batch,
            WindowLogits own,
            WindowLogits reference,
            IntConsumer onWindow) {
        long start = System.nanoTime();
        TextScore score;
        try (NDManager manager = newManager()) {
            score = new Perplexity(manager, own, reference, batch).of(windows, onWindow);
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        return new PerplexityReport(
                score.perplexity(),
                windows.tokens(),
                windows.count(),
                weights.bitsPerWeight(),
                seconds,
                score.meanDivergence(),
                score.top1Agreement(),
                score.paired());
    }

    /** Returns a manager of the host engine's memory, to be closed before the model is. */
    NDManager newManager() {
        return model.getNDManager().newSubManager();
    }

    private void checkVocabulary(LanguageModel reference) {
        int own = block.config().vocabularySize();
        int other = reference.block.config().vocabularySize();
        if (own != other) {
            throw new IllegalArgumentException(
                    String.format(
                            "the model has a vocabulary of %d tokens and the reference one of %d;"
                                    + " only models with the same vocabulary can be compared",
                            own, other));
        }
    }

    /** Returns the logits of sequences {@code [batch][tokens]} at all their positions. */
    NDArray logits(NDArray ids) {
        ParameterStore store = new ParameterStore(ids.getManager(), false);
        return block.logits(store, ids, null, false);
    }

    private NDArray logits(NDArray ids, int first) {
        return logits(ids);
    }

    /**
     * Measures where the time of a token goes; nothing else may run in the process meanwhile.
     *
     * @param promptTokens the tokens of the prompt, which are made up; positive
     * @param steps the tokens generated after it, positive; no more than the positions together
     * @param rounds how often, after one round that is not counted; positive
     * @param onRound takes the number of rounds done, after each
     * @return milliseconds per token of prompt and steps, by stage
     */
    public OverheadReport overhead(int promptTokens, int steps, int rounds, IntConsumer onRound) {
        long[] prompt =
                LongStream.range(0, promptTokens).map(i -> i * 37 % vocabularySize()).toArray();
        try (NDManager manager = newManager()) {
            return new OverheadStudy(block, manager, prompt, steps).run(rounds, onRound);
        }
    }

    /**
     * Measures how fast the model reads prompts and generates; nothing else may run in the process
     * meanwhile.
     *
     * @param tests what to measure
     * @param onRun takes the number of timed runs done, after each
     * @return tokens per second
     * @throws IllegalArgumentException if the model has too few positions
     */
    public SpeedReport speed(SpeedTests tests, IntConsumer onRun) {
        if (tests.positions() > maxPositions()) {
            throw new IllegalArgumentException(
                    String.format(
                            "depth and tokens are up to %d together, but the model has %d"
                                    + " positions",
                            tests.positions(), maxPositions()));
        }
        String name = model.getModelPath().toAbsolutePath().getFileName().toString();
        try (NDManager manager = newManager()) {
            return new SpeedStudy(block, manager, tests).run(name, kernels(), onRun);
        }
    }

    /** Frees the model's native memory. */
    @Override
    public void close() {
        model.close();
    }
}
