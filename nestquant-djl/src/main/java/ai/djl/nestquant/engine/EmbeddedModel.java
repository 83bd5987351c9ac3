package ai.djl.nestquant.engine;

import ai.djl.util.Utils;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The small demonstration model that comes with the library: 2.8 million parameters, trained on old
 * fairy tales.
 *
 * <p>Safe for concurrent use, also by several processes that share a cache.
 */
public final class EmbeddedModel {

    private static final String NAME = "demo";
    private static final String RESOURCES = "/ai/djl/nestquant/models/" + NAME + '/';
    private static final List<String> FILES =
            List.of(
                    "config.json",
                    "generation_config.json",
                    "golden.json",
                    "model.safetensors",
                    "README.md",
                    "tokenizer.json",
                    "tokenizer_config.json");

    private EmbeddedModel() {}

    /**
     * Returns the model's directory, unpacked into DJL's cache directory the first time.
     *
     * <p>It is {@code <DJL cache>/nestquant/demo-<hash>}, the hash being that of the contents, and
     * appears at once and complete, by a rename.
     *
     * @return a HuggingFace model directory
     * @throws IOException if the cache cannot be written, or holds a damaged copy
     */
    public static Path path() throws IOException {
        return unpack(Utils.getCacheDir().resolve("nestquant"));
    }

    static Path unpack(Path cache) throws IOException {
        MessageDigest digest = sha256();
        Map<String, Long> sizes = new LinkedHashMap<>();
        for (String file : FILES) {
            digest.update(file.getBytes(StandardCharsets.UTF_8));
            sizes.put(file, digest(file, digest));
        }
        String hash = HexFormat.of().formatHex(digest.digest(), 0, 8);
        Path directory = cache.resolve(NAME + '-' + hash);
        if (!Files.isDirectory(directory)) {
            Files.createDirectories(cache);
            unpackInto(directory);
        }
        verify(directory, sizes);
        return directory;
    }

    private static void unpackInto(Path directory) throws IOException {
        Path parent = directory.getParent();
        Path unfinished = Files.createTempDirectory(parent, directory.getFileName() + ".part");
        try {
            for (String file : FILES) {
                try (InputStream in = resource(file)) {
                    Files.copy(in, unfinished.resolve(file));
                }
            }
            Files.move(unfinished, directory, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            delete(unfinished);
            if (!Files.isDirectory(directory)) { // else another process was faster
                throw e;
            }
        }
    }

    private static void verify(Path directory, Map<String, Long> sizes) throws IOException {
        for (Map.Entry<String, Long> entry : sizes.entrySet()) {
            Path file = directory.resolve(entry.getKey());
            if (!Files.isRegularFile(file) || Files.size(file) != entry.getValue()) {
                throw new IOException(
                        file
                                + " is missing or does not have "
                                + entry.getValue()
                                + " bytes: delete "
                                + directory
                                + ", it will be unpacked again");
            }
        }
    }

    /** Adds a file's bytes to the digest and returns their number. */
    private static long digest(String file, MessageDigest digest) throws IOException {
        byte[] buffer = new byte[1 << 16];
        long size = 0;
        try (InputStream in = resource(file)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
                size += n;
            }
        }
        return size;
    }

    private static InputStream resource(String file) throws IOException {
        InputStream in = EmbeddedModel.class.getResourceAsStream(RESOURCES + file);
        if (in == null) {
            throw new FileNotFoundException(
                    RESOURCES + file + " is not on the class path: the library is incomplete");
        }
        return in;
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }

    private static void delete(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        Files.delete(directory);
    }
}
