package ai.djl.nestquant.engine;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.GenerationConfig;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * Turns prompts into texts: a model, its tokenizer and the parameters that hold where a request
 * names none.
 *
 * <p>Safe for concurrent use; every text has its own cache and sampler.
 */
final class TextGenerator {

    /** Arguments that DJL and DJL Serving put beside those of generation. */
    private static final Set<String> OTHER_ARGUMENTS =
            Set.of(
                    QuantizationConfig.OPTION,
                    CalibrationText.OPTION,
                    "translatorFactory",
                    "blockFactory",
                    "application",
                    "engine",
                    "modelName",
                    "model_name",
                    "artifact_id",
                    "batch_size",
                    "max_batch_delay",
                    "max_idle_time",
                    "job_queue_size",
                    "minWorkers",
                    "maxWorkers",
                    "load_on_devices");

    private final CausalLm model;
    private final Path directory;
    private final HuggingFaceTokenizer tokenizer;
    private final GenerationConfig config;
    private final Map<String, Object> arguments;
    private final GenerationParameters defaults;
    private volatile ChatTemplate chatTemplate;

    /**
     * One text to be generated.
     *
     * @param prompt the text to continue
     * @param complete whether the prompt has its special tokens already
     * @param parameters how; null for the generator's own
     */
    record Request(String prompt, boolean complete, GenerationParameters parameters) {

        static Request of(String prompt) {
            return new Request(prompt, false, null);
        }

        Request with(GenerationParameters others) {
            return new Request(prompt, complete, others);
        }
    }

    private TextGenerator(
            CausalLm model,
            Path directory,
            HuggingFaceTokenizer tokenizer,
            GenerationConfig config,
            Map<String, ?> arguments) {
        this.model = model;
        this.directory = directory;
        this.tokenizer = tokenizer;
        this.config = config;
        defaults = GenerationParameters.parse(arguments, OTHER_ARGUMENTS, config);
        this.arguments = new HashMap<>(arguments);
        this.arguments.keySet().retainAll(GenerationParameters.keys());
    }

    /**
     * Makes the generator of a loaded model.
     *
     * @param model the model, whose block is a {@link CausalLm}
     * @param arguments DJL arguments, among them defaults for generation
     * @throws TranslateException if the tokenizer or generation_config.json cannot be read
     */
    static TextGenerator of(Model model, Map<String, ?> arguments) throws TranslateException {
        CausalLm lm = (CausalLm) model.getBlock();
        Path directory = model.getModelPath();
        try {
            GenerationConfig config = GenerationConfig.load(directory, lm.config());
            HuggingFaceTokenizer tokenizer = Tokenizers.open(directory);
            model.getNDManager().attachUncappedInternal(tokenizer.getUid(), tokenizer);
            return new TextGenerator(lm, directory, tokenizer, config, arguments);
        } catch (IOException | MalformedModelException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /**
     * Returns the model's chat template, which is read at the first call.
     *
     * @throws TranslateException if there is none, or it cannot be read
     */
    ChatTemplate chatTemplate() throws TranslateException {
        try {
            if (chatTemplate == null) {
                chatTemplate = ChatTemplate.open(directory);
            }
            return chatTemplate;
        } catch (IOException | MalformedModelException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** Makes a prompt of a chat. */
    Request request(Chat chat) throws TranslateException {
        return new Request(chatTemplate().render(chat), true, null);
    }

    /** Reads parameters of one request over those of the generator. */
    GenerationParameters parameters(Map<String, ?> ofRequest) {
        Map<String, Object> all = new HashMap<>(arguments);
        all.putAll(ofRequest);
        return GenerationParameters.parse(all, Set.of(), config);
    }

    /**
     * Starts a text; nothing is computed before its first piece is asked for.
     *
     * @param request the prompt and how to continue it
     * @param manager the parent of the cache
     * @param onClose runs when the text is closed
     */
    GeneratedText generate(Request request, NDManager manager, Runnable onClose) {
        GenerationParameters parameters =
                request.parameters() == null ? defaults : request.parameters();
        long[] prompt = tokenizer.encode(request.prompt(), !request.complete(), false).getIds();
        return new GeneratedText(
                new Generation(model, tokenizer, parameters, prompt, manager, onClose));
    }
}
