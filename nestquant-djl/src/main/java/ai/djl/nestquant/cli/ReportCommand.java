package ai.djl.nestquant.cli;

import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.nestquant.kernels.Kernels;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/**
 * What all commands on models share: they print a report, as text or as one JSON object. Not safe
 * for concurrent use.
 *
 * @param <R> the report, a record whose components are the keys of the JSON object
 */
abstract class ReportCommand<R> implements Callable<Integer> {

    static final String VERBOSE = "--verbose";

    private static final String ENGINE_THREADS = "ai.djl.pytorch.num_threads";

    private static final int UPDATE_MILLIS = 500;
    private static final int BAR_WIDTH = 80;

    private static final Gson JSON = new GsonBuilder().disableHtmlEscaping().create();

    @Spec private CommandSpec spec;

    @ParentCommand private Main main;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "HuggingFace model directory (default: the embedded model)")
    private Path model;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "threads that compute (default: one per processor)")
    private Integer threads;

    @Option(names = "--json", description = "print the report as one JSON object")
    private boolean json;

    @Option(names = VERBOSE, description = "print the stack trace of an error")
    private boolean verbose;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "print this help")
    private boolean help;

    /** {@inheritDoc} */
    @Override
    public final Integer call() throws Exception {
        prepare();
        useThreads();
        R report = report();
        if (json) {
            out(JSON.toJson(report) + System.lineSeparator());
        } else {
            print(report);
        }
        return 0;
    }

    /** Checks options before a model is loaded. */
    void prepare() throws IOException, CheckpointException {}

    /** Does what the command is for. */
    abstract R report() throws Exception;

    /** Prints a report for people. */
    abstract void print(R report) throws Exception;

    /** Returns the directory of the model. */
    final Path directory() throws IOException {
        return model == null ? EmbeddedModel.path() : model;
    }

    /** Tells whether a model's directory was given. */
    final boolean hasModel() {
        return model != null;
    }

    private void useThreads() {
        if (threads == null) {
            return;
        }
        if (threads < 1) {
            throw wrongUsage("--threads is " + threads + ", but must be at least 1");
        }
        System.setProperty(ENGINE_THREADS, threads.toString());
        try {
            Kernels.best().setThreads(threads);
        } catch (IllegalArgumentException e) {
            throw wrongUsage("--threads is " + threads + ": " + e.getMessage());
        }
    }

    final boolean isJson() {
        return json;
    }

    final Streams streams() {
        return main.streams();
    }

    final ParameterException wrongUsage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    /** Returns a bar on standard error. */
    final ProgressBar progressBar(String what, int count) {
        return new ProgressBarBuilder()
                .setTaskName(what)
                .setInitialMax(count)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(UPDATE_MILLIS)
                .setConsumer(new ConsoleProgressBarConsumer(streams().err(), BAR_WIDTH))
                .build();
    }

    /** Prints a part of the result at once. */
    final void out(String text) {
        streams().out().print(text);
        if (streams().out().checkError()) { // flushes; true once the reader has gone
            throw new UncheckedIOException(new IOException("standard output is closed"));
        }
    }

    /** Prints one line of a table. */
    final void row(String name, String format, Object... values) {
        String value = String.format(Locale.ROOT, format, values);
        out(String.format(Locale.ROOT, "%-22s %s%n", name, value));
    }

    static String megabytes(long bytes) {
        return bytes < 0 ? "unknown" : String.format(Locale.ROOT, "%.1f MB", bytes / 1e6);
    }
}
