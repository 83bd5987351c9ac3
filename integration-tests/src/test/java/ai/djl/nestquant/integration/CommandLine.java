package ai.djl.nestquant.integration;

import ai.djl.util.JsonUtils;
import com.google.gson.JsonObject;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;

/** {@code bin/nestquant} as a process of its own, in a directory that is not the project's. */
final class CommandLine {

    private static final Path SCRIPT =
            Path.of("..", "nestquant-djl", "bin", "nestquant").toAbsolutePath().normalize();

    private static final int MINUTES = 30;

    private final Process process;
    private final Path out;
    private final Path err;

    private CommandLine(List<String> command) throws IOException {
        File target = new File("target");
        out = File.createTempFile("out", ".txt", target).toPath().toAbsolutePath();
        err = File.createTempFile("err", ".txt", target).toPath().toAbsolutePath();
        process =
                new ProcessBuilder(command)
                        .directory(new File(System.getProperty("java.io.tmpdir")))
                        .redirectOutput(out.toFile())
                        .redirectError(err.toFile())
                        .start();
        process.getOutputStream().close();
    }

    /** What a finished process left. */
    record Result(int exitCode, String out, String err) {

        /** Returns what a process printed that ended well. */
        JsonObject json() {
            Assert.assertEquals(exitCode, 0, err);
            return JsonUtils.GSON.fromJson(out, JsonObject.class);
        }
    }

    static CommandLine start(Object... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(SCRIPT.toString()));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        return new CommandLine(command);
    }

    static Result run(Object... arguments) throws IOException, InterruptedException {
        return start(arguments).finish();
    }

    boolean isRunning() {
        return process.isAlive();
    }

    String err() throws IOException {
        return Files.readString(err);
    }

    /** Ends the work at once: the script has replaced itself by java. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    Result finish() throws IOException, InterruptedException {
        if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
            kill();
            Assert.fail("not done in " + MINUTES + " minutes: " + err());
        }
        return new Result(process.exitValue(), Files.readString(out), Files.readString(err));
    }
}
