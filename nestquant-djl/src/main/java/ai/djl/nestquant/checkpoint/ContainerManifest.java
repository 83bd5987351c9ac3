package ai.djl.nestquant.checkpoint;

import com.google.gson.JsonParseException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * {@code nestquant.json} of a quantised model folder: where its contents come from and the hashes
 * of all its files.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param formatVersion the version of the format
 * @param libraryVersion what wrote the folder
 * @param quantization the text form of what is coded
 * @param calibrationSha256 the hash of the calibration text's token ids, or null where none was
 *     used
 * @param source the hashes (SHA-256) of the float model's configuration and weights, by file name
 * @param layers what became of each coded Linear weight
 * @param files all other files of the folder by name
 */
public record ContainerManifest(
        int formatVersion,
        String libraryVersion,
        String quantization,
        String calibrationSha256,
        Map<String, String> source,
        List<Layer> layers,
        Map<String, FileHash> files) {

    /**
     * What became of the weight of one Linear block.
     *
     * @param name the block's name in the checkpoint
     * @param weights the number of its weights
     * @param bitsPerWeight the bits that one takes, scales included
     * @param relativeError {@code Σ‖w − ŵ‖² / Σ‖w‖²}, after balancing and rotation
     * @param overloadedBlocks the blocks of eight that overloaded every scale
     */
    public record Layer(
            String name,
            long weights,
            double bitsPerWeight,
            double relativeError,
            long overloadedBlocks) {}

    /**
     * A file's contents.
     *
     * @param sha256 its SHA-256 in hexadecimal digits
     * @param bytes its length
     */
    public record FileHash(String sha256, long bytes) {

        static FileHash of(Path file) throws IOException {
            return new FileHash(AtomicFiles.sha256(file), Files.size(file));
        }
    }

    /** The file's name. */
    public static final String FILE = "nestquant.json";

    /** Copies the collections. */
    public ContainerManifest {
        source = source == null ? Map.of() : new TreeMap<>(source);
        layers = layers == null ? List.of() : List.copyOf(layers);
        files = files == null ? Map.of() : new TreeMap<>(files);
    }

    /**
     * Reads the manifest of a quantised model folder.
     *
     * @param directory the folder
     * @return the manifest
     * @throws IOException if it cannot be read
     * @throws CheckpointException if it is missing or not valid
     */
    public static ContainerManifest read(Path directory) throws IOException, CheckpointException {
        Path file = directory.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw new CheckpointException(
                    file + ": missing; a folder that nestquant quantize wrote has it");
        }
        return parse(file);
    }

    static ContainerManifest parse(Path file) throws IOException, CheckpointException {
        try {
            String json = ConfigSection.read(file).copy().toString();
            ContainerManifest manifest = JsonText.parse(json, ContainerManifest.class);
            manifest.check(file);
            return manifest;
        } catch (JsonParseException | NullPointerException | NumberFormatException e) {
            throw new CheckpointException(file + ": not a valid manifest: " + e.getMessage(), e);
        }
    }

    private void check(Path file) throws CheckpointException {
        if (formatVersion < ContainerConfig.OLDEST_VERSION
                || formatVersion > ContainerConfig.FORMAT_VERSION) {
            throw new CheckpointException(
                    file
                            + ": formatVersion is "
                            + formatVersion
                            + ", this library reads "
                            + ContainerConfig.OLDEST_VERSION
                            + " to "
                            + ContainerConfig.FORMAT_VERSION);
        }
        for (Map.Entry<String, FileHash> entry : files.entrySet()) {
            FileHash hash = entry.getValue();
            if (!entry.getKey().matches("[^/\\\\:\\p{Cntrl}]+")
                    || entry.getKey().startsWith(".")
                    || hash == null
                    || hash.sha256 == null) {
                throw new CheckpointException(
                        file + ": files: '" + entry.getKey() + "' is no plain name with a hash");
            }
        }
    }

    /** Tells whether another run would make the same folder. */
    boolean sameRun(ContainerManifest other) {
        return started().equals(other.started());
    }

    /** Returns what is known before anything is quantised. */
    ContainerManifest started() {
        return with(List.of(), Map.of());
    }

    ContainerManifest with(List<Layer> newLayers, Map<String, FileHash> newFiles) {
        return new ContainerManifest(
                formatVersion,
                libraryVersion,
                quantization,
                calibrationSha256,
                source,
                newLayers,
                newFiles);
    }

    /**
     * Checks that all files are there and unchanged.
     *
     * @param directory the folder
     * @throws IOException if a file cannot be read
     * @throws CheckpointException naming the first file that is missing or differs
     */
    public void verifyFiles(Path directory) throws IOException, CheckpointException {
        if (files.isEmpty()) {
            throw new CheckpointException(directory.resolve(FILE) + ": lists no files");
        }
        for (Map.Entry<String, FileHash> entry : files.entrySet()) {
            Path file = directory.resolve(entry.getKey());
            FileHash expected = entry.getValue();
            if (!Files.isRegularFile(file)) {
                throw new CheckpointException(file + ": missing, but listed in " + FILE);
            }
            long bytes = Files.size(file);
            if (bytes != expected.bytes) {
                throw new CheckpointException(
                        file
                                + ": has "
                                + bytes
                                + " bytes instead of "
                                + expected.bytes
                                + "; it is truncated or was changed: copy the folder again");
            }
            String sha256 = AtomicFiles.sha256(file);
            if (!sha256.equals(expected.sha256)) {
                throw new CheckpointException(
                        file
                                + ": SHA-256 is "
                                + sha256
                                + " instead of "
                                + expected.sha256
                                + "; it was changed: copy the folder again");
            }
        }
    }

    /** Returns the bytes of all files. */
    public long bytes() {
        return files.values().stream().mapToLong(FileHash::bytes).sum();
    }
}
