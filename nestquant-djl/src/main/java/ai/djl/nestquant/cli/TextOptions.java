package ai.djl.nestquant.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options of commands that score the windows of a text. Not safe for concurrent use. */
final class TextOptions {

    private static final int DEFAULT_CONTEXT = 512;

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--text",
            paramLabel = "FILE",
            required = true,
            order = 1,
            description = "the text, UTF-8, taken exactly as it is")
    private Path file;

    @Option(
            names = "--context",
            paramLabel = "N",
            order = 2,
            description = "tokens in a window (default: 512, or the model's positions if fewer)")
    private Integer context;

    @Option(
            names = "--windows",
            paramLabel = "N",
            order = 3,
            description = "score the first N windows; 0 for all (default: ${DEFAULT-VALUE})")
    private int windows;

    /** Constructs the options with a default for the number of windows. */
    TextOptions(int windows) {
        this.windows = windows;
    }

    /** Checks what can be checked before a model is there. */
    void check() {
        if (context != null && context < 2) {
            throw wrongUsage("--context is " + context + ", but must be at least 2");
        }
        if (windows < 0) {
            throw wrongUsage("--windows is " + windows + ", but must be 0 (all) or more");
        }
    }

    /** Returns the text's file. */
    Path file() {
        return file;
    }

    /** Reads the text. */
    String read() throws IOException {
        if (Files.isDirectory(file)) {
            throw new IOException(file + " is a directory; --text names a file");
        }
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IOException(file + " is not UTF-8 text", e);
        }
    }

    /** Returns the number of windows, 0 for all. */
    int windows() {
        return windows;
    }

    /** Returns the tokens of a window; throws if more were asked for than there are positions. */
    int context(String which, int positions) {
        if (context != null && context > positions) {
            throw wrongUsage(
                    String.format(
                            "--context is %d, but the %s has %d positions",
                            context, which, positions));
        }
        return context == null ? Math.min(DEFAULT_CONTEXT, positions) : context;
    }

    private ParameterException wrongUsage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
