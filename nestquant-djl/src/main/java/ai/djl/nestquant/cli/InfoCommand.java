package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.ModelReport;
import picocli.CommandLine.Command;

/** {@code nestquant info}. Not safe for concurrent use. */
@Command(
        name = "info",
        description = "Loads a model and tells what it is and what its weights take.")
final class InfoCommand extends ModelCommand<ModelReport> {

    /** {@inheritDoc} */
    @Override
    ModelReport run(LanguageModel loaded) {
        return loaded.describe();
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
        row("kernels", "%s", report.kernels());
    }
}
