package ai.djl.nestquant.checkpoint;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The {@code quantization_config} of a quantised model folder: how its packed tensors are to be
 * read. docs/FORMAT.md, section Checkpoint, has the tensors.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param quantization the text form of what is coded
 * @param code the code of Linear weights: the name of a packed code or {@link #INT8}
 * @param codes the codes of matrices that are on another one, by the name of their block
 * @param ladder the integer scales of all packed codes, ascending
 * @param rotations how rows of each length in the model are padded and split for their rotation
 * @param linearSeed the seed of the rotations of Linear inputs and of embedding rows
 * @param headSeed the seed of the rotation of head vectors
 * @param libraryVersion what wrote the folder; informative
 */
public record ContainerConfig(
        String quantization,
        String code,
        Map<String, String> codes,
        List<Integer> ladder,
        List<String> rotations,
        long linearSeed,
        long headSeed,
        String libraryVersion) {

    /** The key in {@code config.json}. */
    static final String KEY = "quantization_config";

    /** The value of {@code quant_method}. */
    static final String METHOD = "nestquant";

    /** The code of int8 rows. */
    public static final String INT8 = "INT8";

    /** The version of the format that this library writes. */
    public static final int FORMAT_VERSION = 2;

    /** The oldest version that this library reads; it has one code for all matrices. */
    static final int OLDEST_VERSION = 1;

    private static final String METHOD_KEY = "quant_method";
    private static final String VERSION_KEY = "format_version";
    private static final String QUANTIZATION = "quantization";
    private static final String CODE = "code";
    private static final String CODES = "codes";
    private static final String LADDER = "ladder";
    private static final String ROTATIONS = "rotations";
    private static final String SEEDS = "rotation_seeds";
    private static final String LIBRARY = "library_version";
    private static final String CONFIG_FILE = "config.json";

    /** Makes the collections immutable. */
    public ContainerConfig {
        codes = Collections.unmodifiableMap(new TreeMap<>(codes));
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
        if (version < OLDEST_VERSION || version > FORMAT_VERSION) {
            throw config.error(
                    VERSION_KEY,
                    String.format(
                            "is %d, but this library reads versions %d to %d; %s",
                            version,
                            OLDEST_VERSION,
                            FORMAT_VERSION,
                            version < OLDEST_VERSION
                                    ? "quantise the original model again"
                                    : "use the library's newer version that wrote the folder"));
        }
        ConfigSection seeds = config.section(SEEDS);
        return new ContainerConfig(
                config.text(QUANTIZATION),
                config.text(CODE),
                codes(config),
                config.has(LADDER) ? config.ids(LADDER) : List.of(),
                config.texts(ROTATIONS),
                seeds.integer("linear", 0, Integer.MAX_VALUE),
                seeds.integer("head", 0, Integer.MAX_VALUE),
                config.text(LIBRARY, ""));
    }

    private static Map<String, String> codes(ConfigSection config) throws CheckpointException {
        Map<String, String> codes = new TreeMap<>();
        if (config.has(CODES)) {
            ConfigSection section = config.section(CODES);
            for (String name : section.keys()) {
                codes.put(name, section.text(name));
            }
        }
        return codes;
    }

    /**
     * Throws unless a folder's configuration is the one that its text form stands for.
     *
     * @param directory the folder that this was read from
     * @param expected what the text form stands for
     * @throws CheckpointException naming the first difference
     */
    public void require(Path directory, ContainerConfig expected) throws CheckpointException {
        String where = directory.resolve(CONFIG_FILE) + ": key '" + KEY;
        Set<String> names = new TreeSet<>(codes.keySet());
        names.addAll(expected.codes.keySet());
        for (String name : names) {
            String own = codes.getOrDefault(name, code);
            String other = expected.codes.getOrDefault(name, expected.code);
            if (!own.equals(other)) {
                throw new CheckpointException(
                        String.format(
                                "%s.%s' says that %s is on %s, but quantization %s puts it on %s",
                                where, CODES, name, own, quantization, other));
            }
        }
        if (!equals(expected)) {
            throw new CheckpointException(
                    where + "' says " + this + ", this library reads " + expected);
        }
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
        if (!codes.isEmpty()) {
            JsonObject others = new JsonObject();
            codes.forEach(others::addProperty);
            own.add(CODES, others);
        }
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
