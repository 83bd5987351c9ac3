package ai.djl.nestquant.pipeline;

import ai.djl.MalformedModelException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.nestquant.engine.Tokenizers;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * Quantises a model by one method after another and measures each against the float model on the
 * same windows of a text.
 *
 * <p>The float model comes first; its logits stay on disk while the comparison runs, so no two
 * models are ever in memory. Finished rows are kept in a file, and those that it holds already are
 * not measured again. Not safe for concurrent use.
 */
public final class Comparison {

    private static final int PROMPT_CHARACTERS = 400;

    private static final Map<String, ?> GENERATION =
            Map.of("maxNewTokens", 32, "temperature", 0, "ignoreEos", true);

    private final Path model;
    private final String prompt;
    private final TokenWindows windows;
    private final ComparisonFile file;
    private final Path folder;
    private final ComparisonSettings settings;

    /**
     * Prepares a comparison.
     *
     * @param model a HuggingFace model directory
     * @param text the text to score, tokenised as a whole without special tokens
     * @param context the tokens of a window
     * @param limit the number of windows, from the first; 0 for all
     * @param results keeps the finished rows; what it holds already is not measured again
     * @throws IOException if the model's tokenizer or the results cannot be read, or those are of a
     *     comparison with other settings
     */
    public Comparison(Path model, String text, int context, int limit, Path results)
            throws IOException {
        this.model = model;
        prompt = text.substring(0, Math.min(text.length(), PROMPT_CHARACTERS));
        try (HuggingFaceTokenizer tokenizer = Tokenizers.open(model)) {
            long[] ids = tokenizer.encode(text, false, false).getIds();
            windows = new TokenWindows(ids, context, limit);
        }
        String name = model.toAbsolutePath().normalize().getFileName().toString();
        settings = ComparisonSettings.of(name, context, windows);
        file = new ComparisonFile(results, settings);
        folder = results.toAbsolutePath().getParent();
    }

    /**
     * Measures what has not been measured yet.
     *
     * @param methods the methods; the float model comes first whether among them or not
     * @param progress is told of every window of every method
     * @return the rows of the float model and of the methods
     * @throws IOException if a file cannot be read or written
     * @throws MalformedModelException if the model is not as it must be
     * @throws TranslateException if the model cannot generate
     */
    public ComparisonReport run(List<QuantizationConfig> methods, StudyProgress progress)
            throws IOException, MalformedModelException, TranslateException {
        List<QuantizationConfig> all = new ArrayList<>();
        all.add(QuantizationConfig.NONE);
        for (QuantizationConfig method : methods) {
            if (!all.contains(method)) {
                all.add(method);
            }
        }
        List<QuantizationConfig> missing =
                all.stream().filter(method -> file.get(method.toString()) == null).toList();
        if (!missing.isEmpty()) {
            measure(all, progress);
        }
        return new ComparisonReport(
                settings, all.stream().map(method -> file.get(method.toString())).toList());
    }

    private void measure(List<QuantizationConfig> methods, StudyProgress progress)
            throws IOException, MalformedModelException, TranslateException {
        int total = methods.size() * windows.count();
        try (LogitsCache cache = fill(done -> progress.measured("none", done, total))) {
            for (int i = 1; i < methods.size(); i++) {
                String method = methods.get(i).toString();
                int before = i * windows.count();
                progress.measured(method, before, total);
                if (file.get(method) == null) {
                    IntConsumer onWindow = done -> progress.measured(method, before + done, total);
                    file.add(row(methods.get(i), cache, onWindow));
                }
            }
            progress.measured("", total, total);
        }
    }

    /** Computes the float model's logits, and its row if that is missing. */
    private LogitsCache fill(IntConsumer onWindow)
            throws IOException, MalformedModelException, TranslateException {
        LogitsCache cache = null;
        try (Candidate candidate = Candidate.load(model, QuantizationConfig.NONE, GENERATION)) {
            cache = new LogitsCache(folder, windows, candidate.vocabularySize());
            boolean known = file.get(QuantizationConfig.NONE.toString()) != null;
            if (!known) {
                candidate.generate(prompt);
            }
            PerplexityReport report = candidate.record(windows, cache, onWindow);
            if (!known) {
                file.add(candidate.row(report));
            }
            return cache;
        } catch (IOException | MalformedModelException | TranslateException | RuntimeException e) {
            if (cache != null) {
                cache.close();
            }
            throw e;
        }
    }

    private ComparisonRow row(QuantizationConfig method, LogitsCache cache, IntConsumer onWindow)
            throws IOException, MalformedModelException, TranslateException {
        try (Candidate candidate = Candidate.load(model, method, GENERATION)) {
            candidate.generate(prompt);
            return candidate.row(candidate.score(windows, cache, onWindow));
        }
    }
}
