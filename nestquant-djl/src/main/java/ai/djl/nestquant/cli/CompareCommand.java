package ai.djl.nestquant.cli;

import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.pipeline.Comparison;
import ai.djl.nestquant.pipeline.ComparisonMethods;
import ai.djl.nestquant.pipeline.ComparisonPage;
import ai.djl.nestquant.pipeline.ComparisonReport;
import ai.djl.nestquant.pipeline.StudyProgress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code nestquant compare}. Not safe for concurrent use. */
@Command(
        name = "compare",
        description = {
            "Quantises a model by one method after another and measures each against the float"
                    + " model on the same windows of a text.",
            "Each finished row is put into the results file at once; a comparison that was"
                    + " interrupted goes on from there when it is started again."
        },
        sortOptions = false)
final class CompareCommand extends ReportCommand<ComparisonReport> {

    @Mixin private final TextOptions text = new TextOptions(10);

    @Option(
            names = "--methods",
            paramLabel = "LIST",
            description =
                    "quantizations separated by semicolons, as in \"w4;w4,code=int4\", or names of"
                            + " lists: weights, cache, full, default (all three of them), calibrated"
                            + " (rounding with feedback) or quick (default: default, and calibrated"
                            + " where --calibration is given)")
    private String list;

    @Option(
            names = "--calibration",
            paramLabel = "FILE",
            description =
                    "the text to calibrate all methods for, UTF-8, not the one that is scored"
                            + " (default: a short text that comes with the library)")
    private Path calibration;

    @Option(
            names = "--results",
            paramLabel = "FILE",
            defaultValue = "compare-results.json",
            description =
                    "keeps finished rows; the float model's logits lie beside it while the command"
                            + " runs (default: ${DEFAULT-VALUE})")
    private Path results;

    @Option(
            names = "--no-times",
            description =
                    "leave out tokens per second, peak memory and quantisation time, on a machine that"
                            + " is busy; the same command without this adds them to the finished rows")
    private boolean noTimes;

    @Option(names = "--csv", paramLabel = "FILE", description = "also write all figures as CSV")
    private Path csv;

    @Option(
            names = "--markdown",
            paramLabel = "FILE",
            description = "also write tables as Markdown, and the plots beside it")
    private Path markdown;

    @Option(
            names = "--html",
            paramLabel = "FILE",
            description = "also write table and plots as one HTML file")
    private Path html;

    @Option(
            names = "--per-layer",
            description =
                    "also measure every method in one decoder layer alone, for all layers, and print"
                            + " what its weights, activations and cache cost; takes up to three"
                            + " measurements a layer and method (default of --methods with this:"
                            + " w4a4kv4)")
    private boolean perLayer;

    @Option(
            names = "--mix",
            paramLabel = "BITS",
            description =
                    "also measure what each layer and kind of Linear block costs, spend this average"
                            + " number of bits per weight where it helps most (3.25, 4.25 or 8 for each"
                            + " block), print the quantization that does so and measure it beside the"
                            + " methods")
    private Double mix;

    private List<QuantizationConfig> methods;
    private QuantizationConfig mixed;

    /** {@inheritDoc} */
    @Override
    void prepare() {
        text.check();
        try {
            methods = ComparisonMethods.parse(list == null ? defaultList() : list);
        } catch (IllegalArgumentException e) {
            throw wrongUsage("--methods: " + e.getMessage());
        }
        if (mix != null && !(mix > 3 && mix <= 8)) {
            throw wrongUsage("--mix is " + mix + ", but must be above 3 and at most 8 bits");
        }
        for (Path file : new Path[] {results, csv, markdown, html}) {
            if (file != null && !Files.isDirectory(file.toAbsolutePath().getParent())) {
                throw wrongUsage("the folder of " + file + " does not exist");
            }
        }
    }

    private String defaultList() {
        if (perLayer) {
            return "w4a4kv4";
        }
        return calibration == null ? "default" : "default;calibrated";
    }

    /** {@inheritDoc} */
    @Override
    ComparisonReport report() throws Exception {
        ModelConfig config = ModelConfig.load(directory());
        int context = text.context("model", config.maxPositions());
        Comparison comparison =
                new Comparison(directory(), text.read(), context, text.windows(), results)
                        .optCalibration(calibration)
                        .optTimes(!noTimes);
        if (mix != null) {
            mixed = withProgress(p -> comparison.mix(config.layers(), mix, p));
            methods = Stream.concat(methods.stream(), Stream.of(mixed)).toList();
        }
        ComparisonReport report = withProgress(p -> comparison.run(methods, p));
        if (perLayer) {
            report =
                    report.withLayerCosts(
                            withProgress(p -> comparison.perLayer(methods, config.layers(), p)));
        }
        write(csv, report.toFullTable().toCsv());
        if (markdown != null) {
            ComparisonPage.writeMarkdown(report, markdown);
        }
        if (html != null) {
            write(html, ComparisonPage.of(report));
        }
        return report;
    }

    /** A part of the comparison that tells how far it has got. */
    private interface Measurement<T> {

        T run(StudyProgress progress) throws Exception;
    }

    private <T> T withProgress(Measurement<T> measurement) throws Exception {
        try (ProgressBar bar = progressBar("windows", 0)) {
            return measurement.run(
                    (method, done, total) -> {
                        bar.maxHint(total);
                        bar.setExtraMessage(method);
                        bar.stepTo(done);
                    });
        }
    }

    private static void write(Path file, String content) throws IOException {
        if (file != null) {
            Files.writeString(file, content);
        }
    }

    /** {@inheritDoc} */
    @Override
    void print(ComparisonReport report) {
        out(report.toTable().toText());
        if (mixed != null) {
            out(System.lineSeparator() + "mixed: --quantization " + mixed + System.lineSeparator());
        }
        if (perLayer) {
            out(System.lineSeparator() + report.toSensitivityTable().toText());
        }
    }
}
