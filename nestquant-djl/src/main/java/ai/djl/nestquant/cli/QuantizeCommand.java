package ai.djl.nestquant.cli;

import ai.djl.nestquant.model.ContainerWriter;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.pipeline.QuantizeReport;
import ai.djl.nestquant.pipeline.QuantizedFolder;
import java.nio.file.Path;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nestquant quantize}. Not safe for concurrent use. */
@Command(
        name = "quantize",
        description = {
            "Quantises a model and writes it to a folder that loads without quantising again.",
            "Until everything is written the folder is called DIR.partial. A run that was"
                    + " interrupted goes on where it stopped when it is started again."
        },
        sortOptions = false)
final class QuantizeCommand extends ReportCommand<QuantizeReport> {

    @Option(
            names = "--quantization",
            paramLabel = "WHAT",
            defaultValue = "w4a8",
            converter = ModelCommand.QuantizationConverter.class,
            description =
                    "what is coded, w4, w3 or w8 among it; see generate --help (default:"
                            + " ${DEFAULT-VALUE})")
    private QuantizationConfig quantization;

    @Option(
            names = "--calibration",
            paramLabel = "FILE",
            description =
                    "the text to calibrate for, UTF-8 (default: a short text that comes with the"
                            + " library, which the model continues for rounding=ldlq)")
    private Path calibration;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "the folder to write; must not exist")
    private Path target;

    @Option(
            names = "--dry-run",
            description =
                    "write nothing, but predict size and time from the embedding and two layers")
    private boolean dryRun;

    /** {@inheritDoc} */
    @Override
    void prepare() {
        if (target == null && !dryRun) {
            throw wrongUsage("--out DIR says where to write; --dry-run only predicts");
        }
        try {
            ContainerWriter.checkStorable(quantization);
        } catch (IllegalArgumentException e) {
            throw wrongUsage("--quantization: " + e.getMessage());
        }
    }

    /** {@inheritDoc} */
    @Override
    QuantizeReport report() throws Exception {
        if (dryRun) {
            return QuantizedFolder.predict(directory(), quantization, calibration);
        }
        long start = System.nanoTime();
        try (ProgressBar bar = progressBar("parts", 0)) {
            return QuantizedFolder.write(
                    directory(),
                    target,
                    quantization,
                    calibration,
                    (parts, total, weights) -> {
                        double seconds = (System.nanoTime() - start) / 1e9;
                        bar.maxHint(total);
                        bar.setExtraMessage(String.format("%.1fM/s", weights / seconds / 1e6));
                        bar.stepTo(parts);
                    });
        }
    }

    /** {@inheritDoc} */
    @Override
    void print(QuantizeReport report) throws Exception {
        if (!dryRun) {
            out(QuantizeReport.kinds(target).toText() + System.lineSeparator());
        }
        print(this, report);
    }

    static void print(ReportCommand<?> command, QuantizeReport report) {
        command.row("layers", "%d", report.layers());
        command.row("bits per weight", "%.3f", report.bitsPerWeight());
        command.row("size", "%s", megabytes(report.bytes()));
        command.row("time", "%.1f s", report.seconds());
        command.row("peak memory", "%s", megabytes(report.peakResidentBytes()));
    }
}
