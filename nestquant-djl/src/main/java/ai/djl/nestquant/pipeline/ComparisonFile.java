package ai.djl.nestquant.pipeline;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The finished rows of a comparison in a file, so that an interrupted one goes on where it was.
 *
 * <p>Every row is on disk, whole, before the next one is begun: the file is written anew under a
 * temporary name and then renamed. Not safe for concurrent use.
 */
final class ComparisonFile {

    private final Path file;
    private final ComparisonSettings settings;
    private final Map<String, ComparisonRow> rows = new LinkedHashMap<>();

    /**
     * Opens a file or begins one.
     *
     * @param file the file, which need not exist yet
     * @param settings what its rows must have in common
     * @throws IOException if the file cannot be read, is damaged or holds a comparison with other
     *     settings
     */
    ComparisonFile(Path file, ComparisonSettings settings) throws IOException {
        this.file = file.toAbsolutePath();
        this.settings = settings;
        if (!Files.exists(file)) {
            return;
        }
        ComparisonReport report;
        try {
            report = ComparisonReport.ofJson(Files.readString(file));
        } catch (RuntimeException e) { // broken JSON, or a record refuses its parts
            throw new IOException(
                    file + " is no results file; delete it or give --results another name", e);
        }
        if (report == null || !settings.equals(report.settings())) {
            throw new IOException(
                    file
                            + " holds the results of another comparison, "
                            + (report == null ? "an empty one" : report.settings())
                            + ", not of "
                            + settings
                            + "; delete it or give --results another name");
        }
        report.rows().forEach(row -> rows.put(key(row.method(), row.calibration()), row));
    }

    private static String key(String method, String calibration) {
        return calibration == null ? method : method + " for " + calibration;
    }

    /** Returns a finished row of a method calibrated for a text, or null. */
    ComparisonRow get(String method, String calibration) {
        return rows.get(key(method, calibration));
    }

    /** Adds a row, or replaces it, and puts it on disk. */
    void add(ComparisonRow row) throws IOException {
        rows.put(key(row.method(), row.calibration()), row);
        String json = new ComparisonReport(settings, List.copyOf(rows.values())).toJson();
        Path temporary = file.resolveSibling(file.getFileName() + ".tmp");
        try {
            try (FileChannel channel =
                    FileChannel.open(
                            temporary,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.TRUNCATE_EXISTING,
                            StandardOpenOption.WRITE)) {
                ByteBuffer bytes = ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8));
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }
}
