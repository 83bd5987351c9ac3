package ai.djl.nestquant.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParameterException;

/**
 * The command {@code nestquant}.
 *
 * <p>Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to standard output, everything else to
 * standard error. Each run has an instance of its own; not safe for concurrent use.
 */
@Command(
        name = Main.NAME,
        description = "Runs HuggingFace language models with weights on nested Gosset lattices.",
        subcommands = {
            GenerateCommand.class,
            PerplexityCommand.class,
            EvaluateCommand.class,
            CompareCommand.class,
            BenchCommand.class,
            OverheadCommand.class,
            InfoCommand.class,
            QuantizeCommand.class,
            VerifyCommand.class,
            StudyCommand.class
        },
        synopsisSubcommandLabel = "COMMAND",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class)
public final class Main {

    static final String NAME = "nestquant";

    private static final int FAILED = 1;
    private static final int WRONG_USAGE = 2;

    /** Set before the first logger and the engine start; a user's own choice wins. */
    private static final Map<String, String> QUIET =
            Map.of(
                    "org.slf4j.simpleLogger.defaultLogLevel", "warn",
                    "org.slf4j.simpleLogger.showThreadName", "false",
                    // it warns on machines without a GPU
                    "org.slf4j.simpleLogger.log.ai.djl.util.cuda", "error",
                    // everything needed is on the class path: DJL shall load and report nothing
                    "ai.djl.offline", "true",
                    "OPT_OUT_TRACKING", "true");

    private final Streams streams;

    private Main(Streams streams) {
        this.streams = streams;
    }

    /**
     * Runs a command and ends the process with its exit code.
     *
     * @param args the command and its options
     */
    public static void main(String[] args) {
        PrintStream out = utf8(FileDescriptor.out);
        PrintStream err = utf8(FileDescriptor.err);
        System.setErr(err);
        System.setOut(err); // what a library prints is no result
        int exitCode = run(new Streams(System.in, out, err), args);
        out.flush();
        err.flush();
        System.exit(exitCode);
    }

    /** Texts are UTF-8 whatever the locale says. */
    private static PrintStream utf8(FileDescriptor descriptor) {
        return new PrintStream(new FileOutputStream(descriptor), false, StandardCharsets.UTF_8);
    }

    /**
     * Runs a command.
     *
     * @param streams where it reads and writes
     * @param args the command and its options
     * @return the exit code
     */
    static int run(Streams streams, String... args) {
        QUIET.forEach(System.getProperties()::putIfAbsent);
        CommandLine line = new CommandLine(new Main(streams));
        line.setOut(new PrintWriter(streams.out(), true));
        line.setErr(new PrintWriter(streams.err(), true));
        line.setParameterExceptionHandler((e, arguments) -> wrongUsage(streams, e));
        line.setExecutionExceptionHandler((e, command, result) -> failed(streams, e, args));
        if (args.length == 0) {
            line.usage(streams.err());
            return WRONG_USAGE;
        }
        try {
            return line.execute(args);
        } catch (LinkageError | OutOfMemoryError e) { // no natives, or no room for the model
            return failed(streams, e, args);
        }
    }

    private static int wrongUsage(Streams streams, ParameterException e) {
        String command = e.getCommandLine().getCommandSpec().qualifiedName();
        String message = ErrorMessage.of(e);
        streams.err().println(NAME + ": " + message + " (see " + command + " --help)");
        return WRONG_USAGE;
    }

    private static int failed(Streams streams, Throwable e, String... args) {
        streams.err().println(NAME + ": " + ErrorMessage.of(e));
        for (String arg : args) {
            if (arg.equals(ReportCommand.VERBOSE)) {
                e.printStackTrace(streams.err());
            }
        }
        return FAILED;
    }

    Streams streams() {
        return streams;
    }

    /** The library's version, from its manifest. */
    static final class Version implements IVersionProvider {

        /** {@inheritDoc} */
        @Override
        public String[] getVersion() {
            String version = Main.class.getPackage().getImplementationVersion();
            return new String[] {NAME + ' ' + (version == null ? "development" : version)};
        }
    }
}
