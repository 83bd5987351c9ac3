package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.ModelShape;
import ai.djl.nestquant.pipeline.SpeedReport;
import ai.djl.nestquant.pipeline.SpeedTests;
import ai.djl.nestquant.pipeline.SyntheticModel;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.IntConsumer;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** {@code nestquant bench}. Not safe for concurrent use. */
@Command(
        name = "bench",
        description =
                "Measures tokens per second, as llama-bench does: ppN is a prompt of N tokens, tgN"
                        + " are N tokens one by one, @D after D others. Beside it stands how fast the"
                        + " same threads read memory.",
        sortOptions = false)
final class BenchCommand extends ModelCommand<SpeedReport> {

    @Option(
            names = "--shape",
            paramLabel = "NAME",
            converter = ShapeConverter.class,
            description =
                    "random weights of a known model's sizes, in place of --model: llama-3.2-1b,"
                            + " llama-3-8b or smollm2-135m")
    private ModelShape shape;

    @Option(
            names = "--prompt",
            paramLabel = "N",
            split = ",",
            defaultValue = "128",
            description = "tokens of prompts, 0 for none (default: ${DEFAULT-VALUE})")
    private List<Integer> prompts;

    @Option(
            names = "--generate",
            paramLabel = "N",
            split = ",",
            defaultValue = "32",
            description = "tokens to generate, 0 for none (default: ${DEFAULT-VALUE})")
    private List<Integer> generates;

    @Option(
            names = "--depth",
            paramLabel = "N",
            split = ",",
            defaultValue = "0",
            description = "measure also with so many tokens in the cache (default: none)")
    private List<Integer> depths;

    @Option(
            names = "--repetitions",
            paramLabel = "N",
            defaultValue = "5",
            description = "times that each test is measured (default: ${DEFAULT-VALUE})")
    private int repetitions;

    private SpeedTests tests;

    /** {@inheritDoc} */
    @Override
    void prepare() {
        if (shape != null && hasModel()) {
            throw wrongUsage("--model and --shape exclude each other");
        }
        try {
            tests = new SpeedTests(prompts, generates, depths, repetitions);
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
        if (shape != null) {
            checkPositions(shape.config().maxPositions());
        }
    }

    private void checkPositions(int positions) {
        if (tests.positions() > positions) {
            throw wrongUsage(
                    String.format(
                            "--depth and tokens are up to %d together, but the model has %d"
                                    + " positions",
                            tests.positions(), positions));
        }
    }

    /** {@inheritDoc} */
    @Override
    SpeedReport report() throws Exception {
        if (shape == null) {
            return super.report();
        }
        try (SyntheticModel model = SyntheticModel.open(shape, quantization())) {
            return run(model::speed);
        }
    }

    /** {@inheritDoc} */
    @Override
    SpeedReport run(LanguageModel loaded) {
        checkPositions(loaded.maxPositions());
        return run(loaded::speed);
    }

    private SpeedReport run(BiFunction<SpeedTests, IntConsumer, SpeedReport> speed) {
        try (ProgressBar bar = progressBar("runs", tests.runs())) {
            return speed.apply(tests, bar::stepTo);
        }
    }

    /** {@inheritDoc} */
    @Override
    void print(SpeedReport report) {
        out(report.toTable().toText());
        row("model", "%s, quantization %s", report.model(), report.quantization());
        row(
                "weights",
                "%s, %.3f bits per Linear weight",
                megabytes(report.weightBytes()),
                report.bitsPerWeight());
        row("kernels", "%s", report.kernels());
        row("memory bandwidth", "%.1f GB/s", report.bandwidthGBs());
    }

    /** Reads what {@link ModelShape#of} understands. */
    static final class ShapeConverter implements ITypeConverter<ModelShape> {

        /** {@inheritDoc} */
        @Override
        public ModelShape convert(String value) {
            try {
                return ModelShape.of(value);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }
}
