package ai.djl.nestquant.engine;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Opens the tokenizers of HuggingFace model directories.
 *
 * <p>Stateless and safe for concurrent use, as is the tokenizer it returns until it is closed.
 */
public final class Tokenizers {

    private static final String FILE = "tokenizer.json";

    /** Without these DJL cuts every text to 512 tokens and keeps what tokenizer.json may ask. */
    private static final Map<String, String> OPTIONS =
            Map.of(
                    "addSpecialTokens", "true",
                    "truncation", "do_not_truncate",
                    "padding", "do_not_pad");

    private Tokenizers() {}

    /**
     * Opens {@code tokenizer.json} of a model directory, without truncation and padding.
     *
     * <p>Encoding a text adds the special tokens that the file's own post-processor adds, for
     * instance a begin token for Llama 2 and none for GPT-2-like tokenizers.
     *
     * @param modelDirectory the directory
     * @return the tokenizer, which the caller closes
     * @throws IOException if the file is missing, cannot be read or is no valid tokenizer
     */
    public static HuggingFaceTokenizer open(Path modelDirectory) throws IOException {
        Path file = modelDirectory.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw new FileNotFoundException(
                    file
                            + " does not exist: a model directory needs the tokenizer that its"
                            + " publisher provides as "
                            + FILE);
        }
        try (InputStream in = Files.newInputStream(file)) {
            return HuggingFaceTokenizer.newInstance(in, OPTIONS);
        } catch (RuntimeException e) { // what the native library throws
            throw new IOException(file + " is no valid tokenizer: " + e.getMessage(), e);
        }
    }
}
