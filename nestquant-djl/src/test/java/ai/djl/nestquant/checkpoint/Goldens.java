package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.testng.SkipException;

/** Finds the reference model folders; a test that needs them is skipped where they are missing. */
final class Goldens {

    /** Cases whose configuration is supported. */
    static final List<String> SUPPORTED =
            List.of(
                    "llama3_rope",
                    "llama_bias_sharded",
                    "llama_gqa_tied",
                    "llama_linear",
                    "mistral_sw16",
                    "qwen2_tied",
                    "qwen3");

    private Goldens() {}

    /** Returns the folder of a case. */
    static Path folder(String name) {
        return root().resolve(name);
    }

    /** Returns the folder of a trained model. */
    static Path model(String name) {
        return shared().resolve("models").resolve(name);
    }

    /** Returns the folders of all cases. */
    static List<Path> folders() throws IOException {
        try (Stream<Path> list = Files.list(root())) {
            return list.filter(Files::isDirectory).sorted().toList();
        }
    }

    private static Path root() {
        return shared().resolve("goldens").resolve("dev");
    }

    private static Path shared() {
        Path shared = Path.of(System.getProperty("nestquant.shared", "../shared"));
        if (!Files.isDirectory(shared.resolve("goldens"))) {
            throw new SkipException(
                    shared + " has no reference outputs; set -Dnestquant.shared to their folder");
        }
        return shared;
    }
}
