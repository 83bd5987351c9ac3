package ai.djl.nestquant.checkpoint;

import ai.djl.nestquant.checkpoint.ContainerManifest.FileHash;
import ai.djl.nestquant.checkpoint.ContainerManifest.Layer;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Writes a quantised model folder part by part, so that a run that was interrupted at any moment
 * can go on where it stopped.
 *
 * <p>Everything grows in the folder {@code TARGET.partial}; a part counts once its tensors and then
 * its record have been renamed into place. When all parts are there, {@link #seal} makes the final
 * files and the manifest, and {@link #publish} removes what was only for the way and renames the
 * folder. Both can be repeated. Not safe for concurrent use; a lock keeps other processes out.
 */
public final class ContainerBuilder implements AutoCloseable {

    /** Up to this size the parts are joined to one file; larger models keep a shard per part. */
    private static final long LARGEST_SINGLE_FILE = 4L << 30;

    private static final String SUFFIX = ".partial";
    private static final String PLAN = "plan.json";
    private static final String LOCK = "lock";
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final String CONFIG = "config.json";
    private static final String SCRATCH = "part-\\d+\\.(json|safetensors)|plan\\.json|.*\\.tmp";

    /** What of a float model's folder goes with the quantised one as it is. */
    private static final String COPIED =
            ".+\\.(json|txt|model|jinja|md)|(LICENSE|NOTICE|USE_POLICY).*";

    private static final Pattern SHARD = Pattern.compile("model-(\\d+)-of-\\d+\\.safetensors");

    private final Path target;
    private final Path source;
    private final Path folder;
    private final ContainerManifest plan;
    private final long largestSingleFile;
    private FileChannel lock;
    private ContainerManifest sealed;

    /** What is known of a finished part. */
    private record Part(FileHash tensors, List<Layer> layers) {}

    private ContainerBuilder(
            Path target, Path source, ContainerManifest plan, long largestSingleFile) {
        this.target = target;
        this.source = source;
        this.plan = plan;
        this.largestSingleFile = largestSingleFile;
        folder = partial(target);
    }

    /**
     * Begins a folder, or goes on with one that the same run has begun.
     *
     * @param target the folder to make; must not exist
     * @param source the folder of the float model
     * @param quantization the text form of what will be coded
     * @param calibrationIds the token ids of the calibration text, or null or empty
     * @param libraryVersion what writes
     * @return the builder; the caller closes it
     * @throws IOException if something cannot be read or written, or another process is at it
     * @throws CheckpointException if the target exists, or a different run has begun it
     */
    public static ContainerBuilder open(
            Path target,
            Path source,
            String quantization,
            long[] calibrationIds,
            String libraryVersion)
            throws IOException, CheckpointException {
        Map<String, String> hashes = new TreeMap<>();
        hashes.put(CONFIG, AtomicFiles.sha256(source.resolve(CONFIG)));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            for (Path file : checkpoint.files()) {
                hashes.put(file.getFileName().toString(), AtomicFiles.sha256(file));
            }
        }
        ContainerManifest plan =
                new ContainerManifest(
                        ContainerConfig.FORMAT_VERSION,
                        libraryVersion,
                        quantization,
                        calibrationHash(calibrationIds),
                        hashes,
                        null,
                        null);
        return open(target, source, plan, LARGEST_SINGLE_FILE);
    }

    static ContainerBuilder open(
            Path target, Path source, ContainerManifest plan, long largestSingleFile)
            throws IOException, CheckpointException {
        checkAbsent(target);
        ContainerBuilder builder = new ContainerBuilder(target, source, plan, largestSingleFile);
        try {
            builder.begin();
            return builder;
        } catch (IOException | CheckpointException | RuntimeException e) {
            builder.close();
            throw e;
        }
    }

    /**
     * Throws unless a folder can be made under this name.
     *
     * @param target the folder to make
     * @throws CheckpointException if it exists
     */
    public static void checkAbsent(Path target) throws CheckpointException {
        if (Files.exists(target)) {
            throw new CheckpointException(
                    target + ": exists already; delete it or choose another folder");
        }
    }

    private static Path partial(Path target) {
        Path name = target.toAbsolutePath().normalize();
        return name.resolveSibling(name.getFileName() + SUFFIX);
    }

    private static String calibrationHash(long[] ids) {
        if (ids == null || ids.length == 0) {
            return null;
        }
        ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES * ids.length);
        bytes.order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().put(ids);
        return AtomicFiles.sha256(bytes.array());
    }

    private void begin() throws IOException, CheckpointException {
        Files.createDirectories(folder);
        lock();
        Path manifest = folder.resolve(ContainerManifest.FILE);
        Path begun = Files.exists(manifest) ? manifest : folder.resolve(PLAN);
        if (!Files.exists(begun)) {
            AtomicFiles.write(begun, JsonText.pretty(plan));
        }
        ContainerManifest found = ContainerManifest.parse(begun);
        if (!found.sameRun(plan)) {
            throw new CheckpointException(
                    folder
                            + ": holds the beginning of a different run ("
                            + difference(found)
                            + "); repeat that one, or delete the folder");
        }
        sealed = begun.equals(manifest) ? found : null;
    }

    private String difference(ContainerManifest found) {
        if (!found.quantization().equals(plan.quantization())) {
            return "quantization " + found.quantization() + ", now " + plan.quantization();
        }
        if (!found.source().equals(plan.source())) {
            return "of other weights";
        }
        return found.libraryVersion().equals(plan.libraryVersion())
                        && found.formatVersion() == plan.formatVersion()
                ? "with another calibration text"
                : "by version " + found.libraryVersion() + ", format " + found.formatVersion();
    }

    private void lock() throws IOException {
        lock =
                FileChannel.open(
                        folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        boolean held;
        try {
            held = lock.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            held = false;
        }
        if (!held) {
            throw new IOException(folder + " is being written by another run; wait until it ends");
        }
    }

    /** Returns whether all parts have been sealed; then only {@link #publish} is left. */
    public boolean isSealed() {
        return sealed != null;
    }

    /**
     * Tells whether a part is finished; a damaged one is not and will be written again.
     *
     * @param index the part, from 0
     * @return true if its tensors are there as they were written
     * @throws IOException if it cannot be read
     */
    public boolean has(int index) throws IOException {
        if (!Files.isRegularFile(record(index)) || !Files.isRegularFile(tensors(index))) {
            return false;
        }
        try {
            return part(index).tensors.equals(FileHash.of(tensors(index)));
        } catch (CheckpointException e) {
            return false;
        }
    }

    /**
     * Writes a part.
     *
     * @param index the part, from 0
     * @param tensors its tensors
     * @param layers what became of its Linear weights
     * @throws IOException if it cannot be written
     */
    public void put(int index, TensorFileWriter tensors, List<Layer> layers) throws IOException {
        tensors.write(tensors(index));
        Part part = new Part(FileHash.of(tensors(index)), layers);
        AtomicFiles.write(record(index), JsonText.pretty(part));
    }

    /**
     * Opens the tensors of a finished part.
     *
     * @param index the part, from 0
     * @return its tensors; the caller closes them
     * @throws IOException if it cannot be read
     * @throws CheckpointException if it is not valid
     */
    public Checkpoint read(int index) throws IOException, CheckpointException {
        return Checkpoint.openFile(tensors(index));
    }

    private Path tensors(int index) {
        return folder.resolve(String.format("part-%05d.safetensors", index));
    }

    private Path record(int index) {
        return folder.resolve(String.format("part-%05d.json", index));
    }

    private Part part(int index) throws IOException, CheckpointException {
        Path file = record(index);
        try {
            Part part = JsonText.parse(Files.readString(file), Part.class);
            if (part != null && part.tensors != null && part.layers != null) {
                return part;
            }
            throw new CheckpointException(file + ": not the record of a part");
        } catch (JsonParseException e) {
            throw new CheckpointException(file + ": not the record of a part", e);
        }
    }

    /**
     * Makes the final files and the manifest of all parts.
     *
     * @param parts the number of parts
     * @param config how the tensors are to be read
     * @throws IOException if something cannot be written
     * @throws CheckpointException if a part is not valid
     */
    public void seal(int parts, ContainerConfig config) throws IOException, CheckpointException {
        Map<String, FileHash> files = new TreeMap<>();
        List<Layer> layers = new ArrayList<>();
        long bytes = 0;
        for (int i = 0; i < parts; i++) {
            Part part = part(i);
            bytes += part.tensors.bytes();
            layers.addAll(part.layers);
        }
        if (bytes <= largestSingleFile) {
            join(parts);
            files.put(SINGLE, FileHash.of(folder.resolve(SINGLE)));
        } else {
            index(parts, files);
        }
        for (Path file : copied()) {
            String name = file.getFileName().toString();
            AtomicFiles.copy(file, folder.resolve(name));
            files.put(name, FileHash.of(folder.resolve(name)));
        }
        Path configFile = folder.resolve(CONFIG);
        ConfigSection original = ConfigSection.read(source.resolve(CONFIG));
        AtomicFiles.write(configFile, config.mergedInto(original));
        files.put(CONFIG, FileHash.of(configFile));
        sealed = plan.with(layers, files);
        AtomicFiles.write(folder.resolve(ContainerManifest.FILE), JsonText.pretty(sealed));
    }

    private void join(int parts) throws IOException, CheckpointException {
        List<SafetensorsFile> open = new ArrayList<>();
        try {
            TensorFileWriter all = new TensorFileWriter();
            for (int i = 0; i < parts; i++) {
                SafetensorsFile file = SafetensorsFile.open(tensors(i));
                open.add(file);
                all.addAll(file);
            }
            all.write(folder.resolve(SINGLE));
        } finally {
            open.forEach(SafetensorsFile::close);
        }
    }

    /** Writes the index of shards that parts will become in {@link #publish}. */
    private void index(int parts, Map<String, FileHash> files)
            throws IOException, CheckpointException {
        JsonObject weightMap = new JsonObject();
        long total = 0;
        for (int i = 0; i < parts; i++) {
            files.put(shard(i, parts), part(i).tensors);
            try (SafetensorsFile file = SafetensorsFile.open(tensors(i))) {
                for (String name : file.names()) {
                    weightMap.addProperty(name, shard(i, parts));
                    total += file.info(name).byteLength();
                }
            }
        }
        JsonObject metadata = new JsonObject();
        metadata.addProperty("total_size", total);
        JsonObject index = new JsonObject();
        index.add("metadata", metadata);
        index.add("weight_map", weightMap);
        AtomicFiles.write(folder.resolve(INDEX), JsonText.pretty(index));
        files.put(INDEX, FileHash.of(folder.resolve(INDEX)));
    }

    private static String shard(int index, int parts) {
        return String.format("model-%05d-of-%05d.safetensors", index + 1, parts);
    }

    private List<Path> copied() throws IOException {
        try (Stream<Path> list = Files.list(source)) {
            return list.filter(Files::isRegularFile)
                    .filter(
                            file -> {
                                String name = file.getFileName().toString();
                                return name.matches(COPIED)
                                        && !name.equals(CONFIG)
                                        && !name.equals(ContainerManifest.FILE)
                                        && !name.endsWith(".index.json");
                            })
                    .sorted()
                    .toList();
        }
    }

    /**
     * Gives the sealed folder its name.
     *
     * @return its manifest
     * @throws IOException if that is not possible
     */
    public ContainerManifest publish() throws IOException {
        if (sealed.files().containsKey(INDEX)) {
            for (String name : sealed.files().keySet()) {
                Matcher shard = SHARD.matcher(name);
                if (shard.matches()) {
                    Path part = tensors(Integer.parseInt(shard.group(1)) - 1);
                    if (Files.exists(part)) { // else renamed before an interruption
                        AtomicFiles.rename(part, folder.resolve(name));
                    }
                }
            }
        }
        try (Stream<Path> list = Files.list(folder)) {
            for (Path file : list.toList()) {
                if (file.getFileName().toString().matches(SCRATCH)) {
                    Files.delete(file);
                }
            }
        }
        close();
        Files.deleteIfExists(folder.resolve(LOCK));
        AtomicFiles.rename(folder, target.toAbsolutePath());
        return sealed;
    }

    /** Lets other runs at the folder. */
    @Override
    public void close() throws IOException {
        if (lock != null) {
            lock.close();
            lock = null;
        }
    }
}
