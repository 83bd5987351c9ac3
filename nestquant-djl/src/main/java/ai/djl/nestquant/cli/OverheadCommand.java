package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.OverheadReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nestquant overhead}. Not safe for concurrent use. */
@Command(
        name = "overhead",
        description =
                "Measures where the time of a token goes: rotation, encoding, decoding, products with"
                        + " coded weights, host engine. Blocks run one by one for that; what the same takes"
                        + " without a clock stands beside it.",
        sortOptions = false)
final class OverheadCommand extends ModelCommand<OverheadReport> {

    @Option(
            names = "--prompt-tokens",
            paramLabel = "N",
            defaultValue = "128",
            description = "tokens of the prompt (default: ${DEFAULT-VALUE})")
    private int promptTokens;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "32",
            description = "tokens generated after it (default: ${DEFAULT-VALUE})")
    private int steps;

    @Option(
            names = "--rounds",
            paramLabel = "N",
            defaultValue = "3",
            description =
                    "prompts measured with a clock, and as many without (default: ${DEFAULT-VALUE})")
    private int rounds;

    @Option(names = "--plot", paramLabel = "FILE", description = "also write a plot as PNG")
    private Path plot;

    /** {@inheritDoc} */
    @Override
    void prepare() {
        if (promptTokens < 1 || steps < 1 || rounds < 1) {
            throw wrongUsage("--prompt-tokens, --steps and --rounds must be at least 1");
        }
        if (plot != null && !Files.isDirectory(plot.toAbsolutePath().getParent())) {
            throw wrongUsage("the folder of " + plot + " does not exist");
        }
    }

    /** {@inheritDoc} */
    @Override
    OverheadReport run(LanguageModel loaded) throws IOException {
        if ((long) promptTokens + steps > loaded.maxPositions()) {
            throw wrongUsage(
                    String.format(
                            "--prompt-tokens and --steps are %d together, but the model has %d"
                                    + " positions",
                            (long) promptTokens + steps, loaded.maxPositions()));
        }
        OverheadReport report;
        try (ProgressBar bar = progressBar("rounds", 2 * rounds)) {
            report = loaded.overhead(promptTokens, steps, rounds, bar::stepTo);
        }
        if (plot != null) {
            report.writePlot(plot);
        }
        return report;
    }

    /** {@inheritDoc} */
    @Override
    void print(OverheadReport report) {
        out(report.toTable().toText());
        row("kernels", "%s, %d threads", report.kernels(), report.threads());
    }
}
