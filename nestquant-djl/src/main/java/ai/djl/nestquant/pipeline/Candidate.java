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

    private final LanguageModel model;
    private final QuantizationConfig quantization;
    private final double loadSeconds;
    private final List<CodedLayer> layers;
    private GenerationReport generation;

    private Candidate(LanguageModel model, QuantizationConfig quantization, double loadSeconds) {
        this.model = model;
        this.quantization = quantization;
        this.loadSeconds = loadSeconds;
        layers = model.codedLayers();
    }

    static Candidate load(Path directory, QuantizationConfig quantization, Map<String, ?> arguments)
            throws IOException, MalformedModelException {
        ProcessMemory.resetPeak();
        long start = System.nanoTime();
        LanguageModel model = LanguageModel.open(directory, quantization, arguments);
        return new Candidate(model, quantization, (System.nanoTime() - start) / 1e9);
    }

    int vocabularySize() {
        return model.vocabularySize();
    }

    private boolean simulated() {
        return layers.stream().anyMatch(CodedLayer::simulated)
                || quantization.cacheBits() > 0 && quantization.code().simulated();
    }

    /** Measures speed and memory, unless they would be those of a simulation. */
    void generate(String prompt) throws TranslateException {
        if (!simulated()) {
            model.generate(prompt, piece -> {}); // lets the compiler warm up
            generation = model.generate(prompt, piece -> {});
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

    ComparisonRow row(PerplexityReport report) {
        PairedReport paired = report.paired();
        boolean slow = generation == null;
        return new ComparisonRow(
                quantization.toString(),
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
                slow ? null : (Double) generation.prefillTokensPerSecond(),
                slow ? null : (Double) generation.stepTokensPerSecond(),
                slow || generation.peakResidentBytes() < 0
                        ? null
                        : (Long) generation.peakResidentBytes(),
                loadSeconds,
                report.seconds(),
                slow ? "simulated" : generation.kernels(),
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
