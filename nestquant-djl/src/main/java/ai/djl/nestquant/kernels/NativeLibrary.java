package ai.djl.nestquant.kernels;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Properties;

/**
 * The native library: a resource of the jar, copied once to a cache directory and loaded from there
 * when it is first needed.
 *
 * <p>The resource {@code /native/<os>-<arch>/} holds the library and {@code nestquant.properties},
 * its version and SHA-256. It is loaded from {@code nestquant/<version>-<sha256>/} in DJL's cache
 * directory ({@code ENGINE_CACHE_DIR}, {@code DJL_CACHE_DIR}, or {@code .djl.ai} in the home
 * directory), where a file with another hash is replaced.
 *
 * <p>Thread-safe.
 */
final class NativeLibrary {
    private static final System.Logger LOGGER = System.getLogger(NativeLibrary.class.getName());

    /** Hexadecimal digits of the hash that tell builds of one version apart. */
    private static final int HASH_DIGITS = 16;

    /** Why there is no library, null if it is loaded. */
    private static final String PROBLEM = load();

    private NativeLibrary() {}

    /**
     * Returns why this machine does without the library; the first call loads it, or logs the
     * reason.
     *
     * @return the reason, null if the library is loaded
     */
    static String problem() {
        return PROBLEM;
    }

    private static String load() {
        String platform = platform();
        String problem;
        try {
            System.load(cached(platform, directory()).toString());
            return null;
        } catch (FileNotFoundException e) {
            problem = "this build has no native kernels for " + platform;
            LOGGER.log(System.Logger.Level.INFO, problem + ": the portable ones are used");
        } catch (IOException | UnsatisfiedLinkError e) {
            problem = "the native kernels cannot be loaded: " + e;
            LOGGER.log(System.Logger.Level.WARNING, problem + ": the portable ones are used");
        }
        return problem;
    }

    /** Returns {@code <os>-<arch>} as DJL and build.sh spell them. */
    static String platform() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
        String system = os.startsWith("mac") ? "osx" : os.startsWith("win") ? "win" : os;
        return system + "-" + (arch.equals("amd64") ? "x86_64" : arch);
    }

    /** Returns the directory in which DJL's engines keep their native libraries. */
    private static Path directory() {
        for (String name : new String[] {"ENGINE_CACHE_DIR", "DJL_CACHE_DIR"}) {
            String value = System.getenv(name);
            value = value == null || value.isEmpty() ? System.getProperty(name) : value;
            if (value != null && !value.isEmpty()) {
                return Path.of(value).toAbsolutePath();
            }
        }
        Path home = Path.of(System.getProperty("user.home"));
        Path parent = Files.isWritable(home) ? home : Path.of(System.getProperty("java.io.tmpdir"));
        return parent.resolve(".djl.ai").toAbsolutePath();
    }

    /**
     * Returns the library's file in the cache, written if it is missing or corrupt.
     *
     * @param platform {@code <os>-<arch>}
     * @param cache the cache directory
     * @return the file, whose hash is that of the resource
     * @throws FileNotFoundException if there is no library for the platform
     * @throws IOException if a file cannot be read or written, or the resource is corrupt
     */
    static Path cached(String platform, Path cache) throws IOException {
        String folder = "/native/" + platform + "/";
        String name = System.mapLibraryName("nestquant");
        Properties build = new Properties();
        try (InputStream properties = resource(folder + "nestquant.properties")) {
            build.load(properties);
        }
        String hash = build.getProperty("sha256", "");
        if (hash.length() < HASH_DIGITS) {
            throw new IOException(folder + "nestquant.properties has no sha256");
        }
        String version = build.getProperty("version") + "-" + hash.substring(0, HASH_DIGITS);
        Path file = cache.resolve("nestquant").resolve(version).resolve(name);
        if (!Files.isRegularFile(file) || !hash.equals(sha256(Files.readAllBytes(file)))) {
            byte[] library;
            try (InputStream in = resource(folder + name)) {
                library = in.readAllBytes();
            }
            if (!hash.equals(sha256(library))) {
                throw new IOException(folder + name + " does not have the SHA-256 " + hash);
            }
            write(library, file);
        }
        return file;
    }

    private static InputStream resource(String name) throws FileNotFoundException {
        InputStream in = NativeLibrary.class.getResourceAsStream(name);
        if (in == null) {
            throw new FileNotFoundException(name);
        }
        return in;
    }

    /** Writes a file under another name first: other processes see it whole or not at all. */
    private static void write(byte[] bytes, Path file) throws IOException {
        Files.createDirectories(file.getParent());
        Path part = Files.createTempFile(file.getParent(), file.getFileName().toString(), ".part");
        try {
            try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
                ByteBuffer rest = ByteBuffer.wrap(bytes);
                while (rest.hasRemaining()) {
                    channel.write(rest);
                }
                channel.force(true);
            }
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
