package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The tensors of a HuggingFace model folder: {@code model.safetensors}, or the shards that {@code
 * model.safetensors.index.json} names.
 *
 * <p>All files are validated on opening; where both forms are present the single file is used, as
 * transformers does. See {@link SafetensorsFile} for what is memory-mapped and when. Thread-safe
 * but for {@link #close} and {@link #unmap}, which must not run beside anything else.
 */
public final class Checkpoint implements AutoCloseable {

    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final String WEIGHT_MAP = "weight_map";

    private final Path directory;
    private final List<SafetensorsFile> files;
    private final Map<String, SafetensorsFile> tensors;

    private Checkpoint(
            Path directory, List<SafetensorsFile> files, Map<String, SafetensorsFile> tensors) {
        this.directory = directory;
        this.files = List.copyOf(files);
        this.tensors = Collections.unmodifiableMap(tensors);
    }

    /**
     * Opens and validates the weights of a model folder.
     *
     * @param directory the folder
     * @return the open checkpoint
     * @throws IOException if a file cannot be read
     * @throws CheckpointException if there are no safetensors files, a shard is missing, shards and
     *     index disagree, or a file is not valid
     */
    public static Checkpoint open(Path directory) throws IOException, CheckpointException {
        if (!Files.isDirectory(directory)) {
            throw new CheckpointException(directory + ": there is no such model folder");
        }
        Path single = directory.resolve(SINGLE);
        if (Files.isRegularFile(single)) {
            return open(single, directory);
        }
        Path index = directory.resolve(INDEX);
        if (Files.isRegularFile(index)) {
            return openShards(directory, ConfigSection.read(index));
        }
        throw noWeights(directory);
    }

    private static Checkpoint open(Path single, Path directory)
            throws IOException, CheckpointException {
        SafetensorsFile file = SafetensorsFile.open(single);
        Map<String, SafetensorsFile> tensors = new LinkedHashMap<>();
        file.names().forEach(name -> tensors.put(name, file));
        return new Checkpoint(directory, List.of(file), tensors);
    }

    /** Opens one file of a folder, whatever its name. */
    static Checkpoint openFile(Path file) throws IOException, CheckpointException {
        return open(file, file.toAbsolutePath().getParent());
    }

    /**
     * Returns the model folder.
     *
     * @return the path given to {@link #open}
     */
    public Path directory() {
        return directory;
    }

    /**
     * Returns the files that hold the tensors.
     *
     * @return one path per shard
     */
    public List<Path> files() {
        return files.stream().map(SafetensorsFile::file).toList();
    }

    /**
     * Returns the names of all tensors.
     *
     * @return an unmodifiable set
     */
    public Set<String> names() {
        return tensors.keySet();
    }

    /**
     * Returns type and shape of a tensor.
     *
     * @param name the tensor
     * @return its description
     * @throws CheckpointException if there is no such tensor; the message lists near matches
     */
    public TensorInfo info(String name) throws CheckpointException {
        return fileOf(name).info(name);
    }

    /**
     * Returns the description of a tensor that must have a given shape.
     *
     * @param name the tensor
     * @param shape the expected dimensions, {@code [outFeatures][inFeatures]} for a matrix
     * @return its description
     * @throws CheckpointException if there is no such tensor or its shape differs
     */
    public TensorInfo require(String name, long... shape) throws CheckpointException {
        SafetensorsFile file = fileOf(name);
        TensorInfo tensor = file.info(name);
        if (!tensor.hasShape(shape)) {
            throw new CheckpointException(
                    file.file()
                            + ": tensor '"
                            + name
                            + "' has shape "
                            + Arrays.toString(tensor.shape())
                            + " instead of "
                            + Arrays.toString(shape)
                            + "; the weights are not those that config.json describes");
        }
        return tensor;
    }

    /**
     * Returns the stored bytes of a tensor without copying them.
     *
     * @param name the tensor
     * @return a new read-only direct buffer, little-endian; valid also after {@link #close}, but
     *     not after {@link #unmap}
     * @throws CheckpointException if there is no such tensor or it is larger than 2^31 - 1 bytes
     */
    public ByteBuffer bytes(String name) throws CheckpointException {
        return fileOf(name).bytes(name);
    }

    /**
     * Reads stored bytes of a tensor, see {@link SafetensorsFile#read}.
     *
     * @param name the tensor
     * @param fromByte the first byte to read
     * @param out receives {@code out.remaining()} bytes
     * @throws CheckpointException if there is no such tensor or it cannot be read
     * @throws IllegalArgumentException if the range is not inside the tensor
     */
    public void read(String name, long fromByte, ByteBuffer out) throws CheckpointException {
        fileOf(name).read(name, fromByte, out);
    }

    /**
     * Reads a whole floating-point tensor.
     *
     * @param name the tensor
     * @return its elements in stored (row-major) order; F64 is rounded to the nearest float, other
     *     types are exact
     * @throws CheckpointException if there is no such tensor, it is not of a floating type, or it
     *     is too large
     */
    public float[] readFloats(String name) throws CheckpointException {
        return fileOf(name).readFloats(name);
    }

    /**
     * Reads a range of a floating-point tensor: fills {@code out} from its position to its limit.
     *
     * @param name the tensor
     * @param fromElement the first element to read, in stored (row-major) order
     * @param out receives {@code out.remaining()} elements
     * @throws CheckpointException as {@link #readFloats(String)}
     * @throws IllegalArgumentException if the range is not inside the tensor
     */
    public void readFloats(String name, long fromElement, FloatBuffer out)
            throws CheckpointException {
        fileOf(name).readFloats(name, fromElement, out);
    }

    /**
     * Closes all files and gives their mappings back at once. No buffer from {@link #bytes} may be
     * touched afterwards: up to JDK 21 that would end the process.
     */
    public void unmap() {
        files.forEach(SafetensorsFile::unmap);
    }

    /** Closes all files; further reads throw {@link IllegalStateException}. */
    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }

    private SafetensorsFile fileOf(String name) throws CheckpointException {
        SafetensorsFile file = tensors.get(name);
        if (file == null) {
            String where = files.size() == 1 ? files.get(0).file() + "" : directory + "/" + INDEX;
            throw new CheckpointException(
                    where + ": no tensor '" + name + "'" + NearMatches.of(name, names()));
        }
        return file;
    }

    private static Checkpoint openShards(Path directory, ConfigSection index)
            throws IOException, CheckpointException {
        Map<String, SafetensorsFile> shards = new LinkedHashMap<>();
        try {
            return openShards(directory, index, shards);
        } catch (IOException | CheckpointException | RuntimeException e) {
            shards.values().forEach(SafetensorsFile::close);
            throw e;
        }
    }

    private static Checkpoint openShards(
            Path directory, ConfigSection index, Map<String, SafetensorsFile> shards)
            throws IOException, CheckpointException {
        ConfigSection weightMap = index.section(WEIGHT_MAP);
        Map<String, SafetensorsFile> tensors = new LinkedHashMap<>();
        for (String name : weightMap.keys()) {
            String shardName = shardName(weightMap, name);
            SafetensorsFile shard = shards.get(shardName);
            if (shard == null) {
                Path path = directory.resolve(shardName);
                if (!Files.isRegularFile(path)) {
                    throw weightMap.error(
                            name,
                            "is in shard " + shardName + ", which is missing in " + directory);
                }
                shard = SafetensorsFile.open(path);
                shards.put(shardName, shard);
            }
            if (!shard.names().contains(name)) {
                throw weightMap.error(
                        name, "is said to be in shard " + shardName + " but is not there");
            }
            tensors.put(name, shard);
        }
        for (SafetensorsFile shard : shards.values()) {
            for (String name : shard.names()) {
                if (tensors.get(name) != shard) {
                    throw new CheckpointException(
                            shard.file()
                                    + ": tensor '"
                                    + name
                                    + "' is not listed for this shard in "
                                    + index.file()
                                    + "; index and shards are not of one save");
                }
            }
        }
        return new Checkpoint(directory, new ArrayList<>(shards.values()), tensors);
    }

    /** Returns the shard of a tensor, making sure that it names a file of the model folder. */
    private static String shardName(ConfigSection weightMap, String tensor)
            throws CheckpointException {
        String shard = weightMap.text(tensor, "");
        boolean plain =
                shard.matches("[^/\\\\:\\p{Cntrl}]+\\.safetensors") && !shard.contains("..");
        if (!plain) {
            throw weightMap.error(
                    tensor, "= \"" + shard + "\" is not a plain *.safetensors file name");
        }
        return shard;
    }

    private static CheckpointException noWeights(Path directory) throws IOException {
        List<String> others;
        try (Stream<Path> list = Files.list(directory)) {
            others =
                    list.map(path -> path.getFileName().toString())
                            .filter(
                                    name ->
                                            name.matches(
                                                    ".*\\.(safetensors|bin|pt|pth|gguf|onnx|h5)"))
                            .sorted()
                            .toList();
        }
        String message = directory + ": neither " + SINGLE + " nor " + INDEX + " is there";
        if (others.isEmpty()) {
            return new CheckpointException(message + "; is it a HuggingFace model folder?");
        }
        return new CheckpointException(
                message
                        + ", only "
                        + others
                        + "; convert them, for example in Python with"
                        + " transformers: from_pretrained(DIR).save_pretrained(DIR,"
                        + " safe_serialization=True), or download the safetensors files");
    }
}
