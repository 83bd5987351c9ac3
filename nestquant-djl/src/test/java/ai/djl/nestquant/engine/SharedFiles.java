package ai.djl.nestquant.engine;

import ai.djl.util.JsonUtils;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.SkipException;

/** Where tests find real tokenizers and reference outputs. */
final class SharedFiles {

    private SharedFiles() {}

    static Path model(String name) {
        Path shared = Path.of(System.getProperty("nestquant.shared", "../../shared"));
        Path directory = shared.resolve("models").resolve(name);
        if (!Files.isDirectory(directory)) {
            throw new SkipException(
                    directory.toAbsolutePath().normalize()
                            + " is missing; set -Dnestquant.shared to the folder with the models");
        }
        return directory;
    }

    static JsonObject golden(String name) throws IOException {
        try (Reader reader = Files.newBufferedReader(model(name).resolve("golden.json"))) {
            return JsonUtils.GSON.fromJson(reader, JsonObject.class);
        }
    }
}
