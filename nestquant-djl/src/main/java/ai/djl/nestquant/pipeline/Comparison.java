package ai.djl.nestquant.pipeline;

import ai.djl.MalformedModelException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.nestquant.engine.Tokenizers;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.zip.CRC32;

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

    private final Path model;
    private final String prompt;
    private final TokenWindows windows;
    private final ComparisonFile file;
    private final Path folder;
    private final ComparisonSettings settings;
    private Path calibration;
    private String calibrationName;
    private boolean times = true;

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
     * Sets the text that methods are calibrated for, as far as they need one.
     *
     * @param text a text file, UTF-8; null for the text that ships with the library
     * @return this comparison
     * @throws IOException if the file cannot be read
     */
    public Comparison optCalibration(Path text) throws IOException {
        calibration = text;
        calibrationName = null;
        if (text != null) {
            CRC32 crc = new CRC32();
            crc.update(Files.readAllBytes(text));
            calibrationName = String.format("%s (CRC-32 %08x)", text.getFileName(), crc.getValue());
        }
        return this;
    }

    /**
     * Sets whether speed, memory and the time of quantising are measured, which means little on a
     * busy machine. Rows that lack them get them from a comparison that measures them.
     *
     * @param measured true, the default, if they are
     * @return this comparison
     */
    public Comparison optTimes(boolean measured) {
        times = measured;
        return this;
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
        return run(methods, times, progress);
    }

    private ComparisonReport run(
            List<QuantizationConfig> methods, boolean withTimes, StudyProgress progress)
            throws IOException, MalformedModelException, TranslateException {
        List<QuantizationConfig> all = new ArrayList<>();
        all.add(QuantizationConfig.NONE);
        for (QuantizationConfig method : methods) {
            if (!all.contains(method)) {
                all.add(method);
            }
        }
        if (all.stream().anyMatch(m -> finished(m) == null || withTimes && lacksTimes(m))) {
            measure(all, withTimes, progress);
        }
        return new ComparisonReport(settings, all.stream().map(this::finished).toList());
    }

    /**
     * Measures what each part of a method costs in each decoder layer.
     *
     * @param methods the methods
     * @param layers the number of decoder layers
     * @param progress is told of every window of every measurement
     * @return a cost for each method, layer and part, in this order
     * @throws IOException if a file cannot be read or written
     * @throws MalformedModelException if the model is not as it must be
     * @throws TranslateException if the model cannot generate
     */
    public List<LayerCost> perLayer(
            List<QuantizationConfig> methods, int layers, StudyProgress progress)
            throws IOException, MalformedModelException, TranslateException {
        List<QuantizationConfig> probes = new ArrayList<>();
        for (QuantizationConfig method : methods) {
            for (int layer = 0; layer < layers; layer++) {
                probes.addAll(ComparisonMethods.partsOfLayer(method, layer).values());
            }
        }
        run(probes, false, progress);
        List<LayerCost> costs = new ArrayList<>();
        for (QuantizationConfig method : methods) {
            for (int layer = 0; layer < layers; layer++) {
                double weights = 0;
                for (var probe : ComparisonMethods.partsOfLayer(method, layer).entrySet()) {
                    double kl = finished(probe.getValue()).klDivergence();
                    String part = probe.getKey();
                    boolean added = part.equals(LayerCost.ACTIVATIONS);
                    costs.add(
                            new LayerCost(
                                    method.toString(), layer, part, added ? kl - weights : kl));
                    weights = kl;
                }
            }
        }
        return costs;
    }

    /**
     * Spends an average number of bits where it helps most, see {@link MixedPrecision}.
     *
     * @param layers the number of decoder layers
     * @param bits the average of all weights of Linear blocks, scales included
     * @param progress is told of every window of every measurement
     * @return the quantization that does so
     * @throws IOException if a file cannot be read or written
     * @throws MalformedModelException if the model is not as it must be
     * @throws TranslateException if the model cannot generate
     * @throws IllegalArgumentException if the average cannot be had
     */
    public QuantizationConfig mix(int layers, double bits, StudyProgress progress)
            throws IOException, MalformedModelException, TranslateException {
        ComparisonReport probes = run(MixedPrecision.probes(layers), false, progress);
        return MixedPrecision.allocate(probes, layers, bits);
    }

    private ComparisonRow finished(QuantizationConfig method) {
        return file.get(method.toString(), calibrationOf(method));
    }

    private String calibrationOf(QuantizationConfig method) {
        return method.needsText() ? calibrationName : null;
    }

    private boolean lacksTimes(QuantizationConfig method) {
        return finished(method).quantizationSeconds() == null;
    }

    private void measure(
            List<QuantizationConfig> methods, boolean withTimes, StudyProgress progress)
            throws IOException, MalformedModelException, TranslateException {
        int total = methods.size() * windows.count();
        boolean scores = methods.stream().anyMatch(method -> finished(method) == null);
        try (LogitsCache cache =
                scores ? fill(withTimes, done -> progress.measured("none", done, total)) : null) {
            for (int i = 0; i < methods.size(); i++) {
                String method = methods.get(i).toString();
                int before = i * windows.count();
                progress.measured(method, before, total);
                IntConsumer onWindow = done -> progress.measured(method, before + done, total);
                if (finished(methods.get(i)) == null) {
                    file.add(row(methods.get(i), withTimes, cache, onWindow));
                } else if (withTimes && lacksTimes(methods.get(i))) {
                    file.add(timed(methods.get(i)));
                }
            }
            progress.measured("", total, total);
        }
    }

    /** Computes the float model's logits, and its row if that is missing. */
    private LogitsCache fill(boolean withTimes, IntConsumer onWindow)
            throws IOException, MalformedModelException, TranslateException {
        LogitsCache cache = null;
        try (Candidate candidate = load(QuantizationConfig.NONE)) {
            cache = new LogitsCache(folder, windows, candidate.vocabularySize());
            boolean known = finished(QuantizationConfig.NONE) != null;
            if (withTimes && !known) {
                candidate.measure(prompt);
            }
            PerplexityReport report = candidate.record(windows, cache, onWindow);
            if (!known) {
                file.add(candidate.row(report, null));
            }
            return cache;
        } catch (IOException | MalformedModelException | TranslateException | RuntimeException e) {
            if (cache != null) {
                cache.close();
            }
            throw e;
        }
    }

    private Candidate load(QuantizationConfig method) throws IOException, MalformedModelException {
        return Candidate.load(model, method, calibration);
    }

    private ComparisonRow row(
            QuantizationConfig method, boolean withTimes, LogitsCache cache, IntConsumer onWindow)
            throws IOException, MalformedModelException, TranslateException {
        try (Candidate candidate = load(method)) {
            if (withTimes) {
                candidate.measure(prompt);
            }
            PerplexityReport report = candidate.score(windows, cache, onWindow);
            return candidate.row(report, calibrationOf(method));
        }
    }

    private ComparisonRow timed(QuantizationConfig method)
            throws IOException, MalformedModelException, TranslateException {
        try (Candidate candidate = load(method)) {
            candidate.measure(prompt);
            return finished(method).timed(candidate);
        }
    }
}
