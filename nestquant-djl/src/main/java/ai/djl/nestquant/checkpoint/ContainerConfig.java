package ai.djl.nestquant.checkpoint;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The {@code quantization_config} of a quantised model folder: how its packed tensors are to be
 * read. docs/FORMAT.md, section Checkpoint, has the tensors.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param quantization the text form of what is coded
 * @param code the packed code of Linear weights
 * @param ladder the code's integer scales, ascending
 * @param rotations how rows of each length in the model are padded and split for their rotation
 * @param linearSeed the seed of the rotations of Linear inputs and of embedding rows
 * @param headSeed the seed of the rotation of head vectors
 * @param libraryVersion what wrote the folder; informative
 */
public record ContainerConfig(
        String quantization,
        String code,
        List<Integer> ladder,
        List<String> rotations,
        long linearSeed,
        long headSeed,
        String libraryVersion) {

    /** The key in {@code config.json}. */
    static final String KEY = "quantization_config";

    /** The value of {@code quant_method}. */
    static final String METHOD = "nestquant";

    /** The version of the format that this library writes and reads. */
    public static final int FORMAT_VERSION = 1;

    private static final String METHOD_KEY = "quant_method";
    private static final String VERSION_KEY = "format_version";
    private static final String QUANTIZATION = "quantization";
    private static final String CODE = "code";
    private static final String LADDER = "ladder";
    private static final String ROTATIONS = "rotations";
    private static final String SEEDS = "rotation_seeds";
    private static final String LIBRARY = "library_version";
    private static final String CONFIG_FILE = "config.json";

    /** Makes the lists immutable. */
    public ContainerConfig {
        ladder = List.copyOf(ladder);
        rotations = List.copyOf(rotations);
    }

    /**
     * Tells whether a model folder holds codes of this library.
     *
     * @param directory the folder
     * @return false too where there is no configuration
     * @throws IOException if the configuration cannot be read
     * @throws CheckpointException if it is no JSON object
     */
    public static boolean describes(Path directory) throws IOException, CheckpointException {
        Path file = directory.resolve(CONFIG_FILE);
        return Files.isRegularFile(file) && describes(ConfigSection.read(file));
    }

    static boolean describes(ConfigSection config) throws CheckpointException {
        return config.has(KEY) && METHOD.equals(config.section(KEY).text(METHOD_KEY, ""));
    }

    /**
     * Reads the configuration of a quantised model folder.
     *
     * @param directory the folder
     * @return what its tensors are
     * @throws IOException if the configuration cannot be read
     * @throws CheckpointException if a key is missing or not valid, or the folder was written in
     *     another version of the format
     */
    public static ContainerConfig read(Path directory) throws IOException, CheckpointException {
        ConfigSection config = ConfigSection.read(directory.resolve(CONFIG_FILE)).section(KEY);
        int version = config.integer(VERSION_KEY, 0, Integer.MAX_VALUE);
        if (version != FORMAT_VERSION) {
            throw config.error(
                    VERSION_KEY,
                    String.format(
                            "is %d, but this library reads version %d; %s",
                            version,
                            FORMAT_VERSION,
                            version < FORMAT_VERSION
                                    ? "quantise the original model again"
                                    : "use the library's newer version that wrote the folder"));
        }
        ConfigSection seeds = config.section(SEEDS);
        return new ContainerConfig(
                config.text(QUANTIZATION),
                config.text(CODE),
                config.has(LADDER) ? config.ids(LADDER) : List.of(),
                config.texts(ROTATIONS),
                seeds.integer("linear", 0, Integer.MAX_VALUE),
                seeds.integer("head", 0, Integer.MAX_VALUE),
                config.text(LIBRARY, ""));
    }

    /**
     * Makes the configuration of a quantised model folder.
     *
     * @param source the configuration of the float model, a JSON object
     * @return the same with this in it
     */
    String mergedInto(ConfigSection source) {
        JsonObject own = new JsonObject();
        own.addProperty(METHOD_KEY, METHOD);
        own.addProperty(VERSION_KEY, FORMAT_VERSION);
        own.addProperty(QUANTIZATION, quantization);
        own.addProperty(CODE, code);
        JsonArray steps = new JsonArray();
        ladder.forEach(steps::add);
        own.add(LADDER, steps);
        JsonArray splits = new JsonArray();
        rotations.forEach(splits::add);
        own.add(ROTATIONS, splits);
        JsonObject seeds = new JsonObject();
        seeds.addProperty("linear", linearSeed);
        seeds.addProperty("head", headSeed);
        own.add(SEEDS, seeds);
        own.addProperty(LIBRARY, libraryVersion);
        JsonObject merged = source.copy();
        merged.add(KEY, own);
        return JsonText.pretty(merged);
    }
}
