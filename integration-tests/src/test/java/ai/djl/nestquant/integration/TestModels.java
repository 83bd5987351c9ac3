package ai.djl.nestquant.integration;

import ai.djl.util.JsonUtils;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.SkipException;

/** Finds the models, texts and reference outputs that tests need. */
final class TestModels {

    private static final Path SHARED =
            Path.of(System.getProperty("nestquant.shared", "../../shared")).toAbsolutePath();

    private TestModels() {}

    /** Returns a file or directory below the shared directory; skips the test without it. */
    static Path shared(String path) {
        Path file = SHARED.resolve(path).normalize();
        if (!Files.exists(file)) {
            throw new SkipException(
                    file + " is missing; -Dnestquant.shared=DIR says where to look for it");
        }
        return file;
    }

    static Path demo() {
        return shared("models/demo");
    }

    static Path stories260K() {
        return shared("models/stories260K");
    }

    /** Returns SmolLM2-135M-Instruct, unpacked on first use by the program that lies beside it. */
    static synchronized Path smolLm2() throws IOException, InterruptedException {
        Path source = shared("models/smollm2-135m/Unpack.java");
        Path target = Path.of("target", "models", "smollm2-135m").toAbsolutePath();
        Process unpack =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                source.toString(),
                                target.toString())
                        .redirectErrorStream(true)
                        .start();
        String output = new String(unpack.getInputStream().readAllBytes());
        if (unpack.waitFor() != 0) {
            throw new IOException(source + " failed: " + output);
        }
        return target;
    }

    static JsonObject golden(Path directory) throws IOException {
        String json = Files.readString(directory.resolve("golden.json"));
        return JsonUtils.GSON.fromJson(json, JsonObject.class);
    }
}
