package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.ModelReport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nestquant info}. Not safe for concurrent use. */
@Command(
        name = "info",
        description =
                "Loads a model and tells what it is and what its weights and its KV cache take.",
        sortOptions = false)
final class InfoCommand extends ModelCommand<ModelReport> {

    @Option(
            names = "--context",
            paramLabel = "N",
            description = "tokens of the KV cache to count (default: the model's positions)")
    private Integer context;

    private int tokens;

    /** {@inheritDoc} */
    @Override
    void prepare() {
        if (context != null && context < 1) {
            throw wrongUsage("--context is " + context + ", but must be at least 1");
        }
    }

    /** {@inheritDoc} */
    @Override
    ModelReport run(LanguageModel loaded) {
        int positions = loaded.maxPositions();
        if (context != null && context > positions) {
            throw wrongUsage(
                    String.format(
                            "--context is %d, but the model has %d positions", context, positions));
        }
        tokens = context == null ? positions : context;
        return loaded.describe(tokens);
    }

    /** {@inheritDoc} */
    @Override
    void print(ModelReport report) {
        row("architecture", "%s", report.architecture());
        row("layers", "%d", report.layers());
        row("parameters", "%,d", report.parameters());
        row("quantized parameters", "%,d", report.quantizedParameters());
        row("bits per weight", "%.3f", report.bitsPerWeight());
        row("weights", "%s", megabytes(report.weightBytes()));
        row("KV cache per token", "%,.1f bytes", report.kvBytesPerToken());
        row("KV cache", "%s for %,d tokens", megabytes(report.kvBytes()), tokens);
        row("kernels", "%s", report.kernels());
    }
}
