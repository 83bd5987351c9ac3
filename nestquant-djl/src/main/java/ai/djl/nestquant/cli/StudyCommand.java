package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.DistortionStudy;
import ai.djl.nestquant.pipeline.ProductStudy;
import ai.djl.nestquant.pipeline.StudyProgress;
import ai.djl.nestquant.pipeline.StudyReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.function.Function;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code nestquant study}. Not safe for concurrent use. */
@Command(
        name = "study",
        description = "Measures the codes against theory, without any model.",
        subcommands = {StudyCommand.Distortion.class, StudyCommand.Product.class},
        synopsisSubcommandLabel = "STUDY")
final class StudyCommand implements Callable<Integer> {

    @ParentCommand private Main main;

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "print this help")
    private boolean help;

    /** {@inheritDoc} */
    @Override
    public Integer call() {
        throw new ParameterException(spec.commandLine(), "say which study: distortion or product");
    }

    /** What both studies share: where the report goes. */
    abstract static class Study implements Callable<Integer> {

        private static final int UPDATE_MILLIS = 500;
        private static final int BAR_WIDTH = 80;

        @ParentCommand private StudyCommand study;

        @Spec private CommandSpec spec;

        @Option(
                names = "--seed",
                paramLabel = "N",
                defaultValue = "2026",
                description = "seed of the Gaussian entries (default: ${DEFAULT-VALUE})")
        private long seed;

        @Option(names = "--csv", paramLabel = "FILE", description = "also write the table as CSV")
        private Path csv;

        @Option(names = "--plot", paramLabel = "FILE", description = "also write a plot as PNG")
        private Path plot;

        @Option(names = "--json", description = "print the report as one JSON object")
        private boolean json;

        @Option(names = ReportCommand.VERBOSE, description = "print the stack trace of an error")
        private boolean verbose;

        @Option(
                names = {"-h", "--help"},
                usageHelp = true,
                description = "print this help")
        private boolean help;

        /** {@inheritDoc} */
        @Override
        public final Integer call() throws IOException {
            checkFolder(csv);
            checkFolder(plot);
            Function<StudyProgress, StudyReport> prepared;
            try {
                prepared = prepare(seed);
            } catch (IllegalArgumentException e) {
                throw new ParameterException(spec.commandLine(), e.getMessage(), e);
            }
            StudyReport report;
            try (ProgressBar bar = progressBar()) {
                report =
                        prepared.apply(
                                (code, done, total) -> {
                                    bar.maxHint(total);
                                    bar.stepTo(done);
                                });
            }
            if (csv != null) {
                Files.writeString(csv, report.toTable().toCsv());
            }
            if (plot != null) {
                report.toPlot().write(plot);
            }
            String text = json ? report.toJson() + '\n' : report.toTable().toText();
            study.main.streams().out().print(text);
            return 0;
        }

        /** Rather now than after minutes of work. */
        private void checkFolder(Path file) {
            if (file != null && !Files.isDirectory(file.toAbsolutePath().getParent())) {
                throw new ParameterException(
                        spec.commandLine(), "the folder of " + file + " does not exist");
            }
        }

        private ProgressBar progressBar() {
            return new ProgressBarBuilder()
                    .setTaskName("codes")
                    .setStyle(ProgressBarStyle.ASCII)
                    .setUpdateIntervalMillis(UPDATE_MILLIS)
                    .setConsumer(
                            new ConsoleProgressBarConsumer(study.main.streams().err(), BAR_WIDTH))
                    .build();
        }

        /** Checks the options and returns the study; out of range is IllegalArgumentException. */
        abstract Function<StudyProgress, StudyReport> prepare(long seed);
    }

    /** {@code nestquant study distortion}. */
    @Command(
            name = "distortion",
            description = "Distortion of N(0,1) entries against rate, beside 2^(-2R).",
            sortOptions = false)
    static final class Distortion extends Study {

        @Option(
                names = "--samples",
                paramLabel = "N",
                defaultValue = "4194304",
                description = "entries to draw (default: ${DEFAULT-VALUE})")
        private int samples;

        /** {@inheritDoc} */
        @Override
        Function<StudyProgress, StudyReport> prepare(long seed) {
            DistortionStudy.Options options = new DistortionStudy.Options(samples, seed);
            return progress -> DistortionStudy.run(options, progress);
        }
    }

    /** {@code nestquant study product}. */
    @Command(
            name = "product",
            description =
                    "Error of the product of two quantised N x N Gaussian matrices against rate,"
                            + " beside the lower bound of Ordentlich and Polyanskiy (arXiv"
                            + " 2410.13780).",
            sortOptions = false)
    static final class Product extends Study {

        @Option(
                names = "--size",
                paramLabel = "N",
                defaultValue = "4096",
                description = "rows and columns, a multiple of 32 (default: ${DEFAULT-VALUE})")
        private int size;

        /** {@inheritDoc} */
        @Override
        Function<StudyProgress, StudyReport> prepare(long seed) {
            ProductStudy.Options options = new ProductStudy.Options(size, seed);
            return progress -> ProductStudy.run(options, progress);
        }
    }
}
