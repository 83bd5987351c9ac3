package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.checkpoint.ModelType;
import ai.djl.nestquant.checkpoint.RopeConfig;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/** The sizes of known models, for measurements with random weights. Immutable and thread-safe. */
public enum ModelShape {
    /** Llama-3.2-1B: 1.24 billion parameters, the head tied to the embedding. */
    LLAMA_3_2_1B("llama-3.2-1b", 16, 2048, 8192, 32, 8, 64, 128256, true),
    /** Llama-3-8B: 8.03 billion parameters. */
    LLAMA_3_8B("llama-3-8b", 32, 4096, 14336, 32, 8, 128, 128256, false),
    /** SmolLM2-135M: 135 million parameters, the head tied to the embedding. */
    SMOLLM2_135M("smollm2-135m", 30, 576, 1536, 9, 3, 64, 49152, true);

    private static final int POSITIONS = 8192;
    private static final double EPSILON = 1e-5;
    private static final double ROPE_THETA = 500000;

    private final String key;
    private final ModelConfig config;

    ModelShape(
            String key,
            int layers,
            int hidden,
            int inner,
            int heads,
            int kvHeads,
            int headSize,
            int vocabulary,
            boolean tied) {
        this.key = key;
        config = config(layers, hidden, inner, heads, kvHeads, headSize, vocabulary, tied);
    }

    /** Returns a configuration of the Llama family without biases. */
    static ModelConfig config(
            int layers,
            int hidden,
            int inner,
            int heads,
            int kvHeads,
            int headSize,
            int vocabulary,
            boolean tied) {
        return new ModelConfig(
                ModelType.LLAMA,
                layers,
                hidden,
                inner,
                heads,
                kvHeads,
                headSize,
                vocabulary,
                POSITIONS,
                EPSILON,
                new RopeConfig(RopeConfig.Type.DEFAULT, ROPE_THETA, 1, 0, 0, 0),
                false,
                false,
                false,
                false,
                tied,
                Collections.nCopies(layers, 0),
                Optional.empty(),
                OptionalInt.empty(),
                List.of());
    }

    /**
     * Finds a shape.
     *
     * @param key its name, such as {@code llama-3.2-1b}
     * @return the shape
     * @throws IllegalArgumentException if there is none of that name; the message lists the known
     *     ones
     */
    public static ModelShape of(String key) {
        return Arrays.stream(values())
                .filter(shape -> shape.key.equals(key))
                .findFirst()
                .orElseThrow(
                        () ->
                                new IllegalArgumentException(
                                        "unknown shape \"" + key + "\"; known are " + names()));
    }

    /**
     * Lists the known shapes.
     *
     * @return their names, separated by commas
     */
    public static String names() {
        return Arrays.stream(values()).map(shape -> shape.key).collect(Collectors.joining(", "));
    }

    /**
     * Returns the sizes.
     *
     * @return the configuration of the model
     */
    public ModelConfig config() {
        return config;
    }

    /**
     * Returns the name.
     *
     * @return the name that {@link #of} understands
     */
    @Override
    public String toString() {
        return key;
    }
}
