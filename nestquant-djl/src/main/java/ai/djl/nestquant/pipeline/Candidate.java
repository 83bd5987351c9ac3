package ai.djl.nestquant.pipeline;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.nestquant.model.CodedLayer;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/** A quantised model while a comparison measures it. Not safe for concurrent use. */
final class Candidate implements AutoCloseable {

    private static final Map<String, ?> GENERATION =
            Map.of("maxNewTokens", 32, "temperature", 0, "ignoreEos", true);

    private final LanguageModel model;
    private final QuantizationConfig quantization;
    private final double loadSeconds;
    private final List<CodedLayer> layers;
    private Double quantizationSeconds;
    private GenerationReport generation;

    private Candidate(LanguageModel model, QuantizationConfig quantization, double loadSeconds) {
        this.model = model;
        this.quantization = quantization;
        this.loadSeconds = loadSeconds;
        layers = model.codedLayers();
    }

    /** Loads and quantises a model for a text, or for the one that ships if that is null. */
    static Candidate load(Path directory, QuantizationConfig quantization, Path calibration)
            throws IOException, MalformedModelException {
        ProcessMemory.resetPeak();
        long start = System.nanoTime();
        LanguageModel model = LanguageModel.open(directory, quantization, calibration, GENERATION);
        return new Candidate(model, quantization, (System.nanoTime() - start) / 1e9);
    }

    int vocabularySize() {
        return model.vocabularySize();
    }

    private boolean simulated() {
        return layers.stream().anyMatch(CodedLayer::simulated)
                || quantization.cacheBits() > 0 && quantization.code().simulated();
    }

    /** Measures times, but speed and memory only where they are not those of a simulation. */
    void measure(String prompt) throws TranslateException {
        quantizationSeconds = loadSeconds;
        if (!simulated()) {
            model.generate(prompt, () -> {}, piece -> {}); // lets the compiler warm up
            generation = model.generate(prompt, () -> {}, piece -> {});
        }
    }

    PerplexityReport score(TokenWindows windows, LogitsCache reference, IntConsumer onWindow) {
        return model.score(windows, 1, reference::get, onWindow);
    }

    /** Scores the windows and keeps their logits. */
    PerplexityReport record(TokenWindows windows, LogitsCache cache, IntConsumer onWindow) {
        WindowLogits recording =
                (ids, first) -> {
                    NDArray logits = model.logits(ids);
                    cache.put(first, logits);
                    return logits;
                };
        return model.score(windows, 1, recording, cache::get, onWindow);
    }

    /** Returns the speed of reading a prompt, or null where it was not measured. */
    Double prefillTokensPerSecond() {
        return generation == null ? null : (Double) generation.prefillTokensPerSecond();
    }

    /** Returns the speed of generating, or null. */
    Double stepTokensPerSecond() {
        return generation == null ? null : (Double) generation.stepTokensPerSecond();
    }

    /** Returns the most memory that the process held, or null. */
    Long peakResidentBytes() {
        return generation == null || generation.peakResidentBytes() < 0
                ? null
                : (Long) generation.peakResidentBytes();
    }

    /** Returns the time that loading and quantising took, or null. */
    Double quantizationSeconds() {
        return quantizationSeconds;
    }

    ComparisonRow row(PerplexityReport report, String calibration) {
        PairedReport paired = report.paired();
        return new ComparisonRow(
                quantization.toString(),
                calibration,
                ComparisonRow.regime(quantization),
                simulated(),
                bitsPerWeight(),
                model.cacheBitsPerEntry(),
                weightBytes(),
                report.perplexity(),
                paired.gap(),
                paired.gapLow(),
                paired.gapHigh(),
                report.klDivergence(),
                paired.klLow(),
                paired.klHigh(),
                report.top1Agreement(),
                null,
                null,
                prefillTokensPerSecond(),
                stepTokensPerSecond(),
                peakResidentBytes(),
                quantizationSeconds(),
                report.seconds(),
                simulated() ? "simulated" : model.kernels(),
                layers);
    }

    private double bitsPerWeight() {
        double bits = layers.stream().mapToDouble(l -> l.bitsPerEntry() * l.weights()).sum();
        long weights = layers.stream().mapToLong(CodedLayer::weights).sum();
        return weights == 0 ? Float.SIZE : bits / weights;
    }

    /** The bytes of all weights, simulated ones counted as what they would take. */
    private long weightBytes() {
        double bytes = model.describe(0).weightBytes();
        for (CodedLayer layer : layers) {
            if (layer.simulated()) {
                bytes -= layer.weights() * (Float.SIZE - layer.bitsPerEntry()) / Byte.SIZE;
            }
        }
        return Math.round(bytes);
    }

    /** Frees the model's memory. */
    @Override
    public void close() {
        model.close();
    }
}
