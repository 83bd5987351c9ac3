package ai.djl.nestquant.checkpoint;

import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * The supported values of {@code model_type}, each with the defaults that transformers gives to
 * keys absent from its {@code config.json}.
 *
 * <p>Thread-safe (immutable).
 */
public enum ModelType {
    /** Llama 1 to 3, TinyLlama, SmolLM 1 and 2, Yi and the like. */
    LLAMA("llama", 2048, 0, 0),
    /** Mistral 7B, Nemo: Llama with a sliding window and no biases. */
    MISTRAL("mistral", 131072, 8, 0),
    /** Qwen 1.5 to 2.5: Llama with query, key and value biases. */
    QWEN2("qwen2", 32768, 32, 0),
    /** Qwen 3: Llama with RMSNorm on the heads of queries and keys. */
    QWEN3("qwen3", 32768, 32, 128);

    private final String key;
    private final int defaultMaxPositions;
    private final int defaultKvHeads;
    private final int defaultHeadSize;

    ModelType(String key, int defaultMaxPositions, int defaultKvHeads, int defaultHeadSize) {
        this.key = key;
        this.defaultMaxPositions = defaultMaxPositions;
        this.defaultKvHeads = defaultKvHeads;
        this.defaultHeadSize = defaultHeadSize;
    }

    /**
     * Returns the name that {@code config.json} uses.
     *
     * @return the value of {@code model_type}
     */
    public String key() {
        return key;
    }

    /** Default of max_position_embeddings. */
    int defaultMaxPositions() {
        return defaultMaxPositions;
    }

    /** Default of num_key_value_heads; 0 stands for the number of heads. */
    int defaultKvHeads() {
        return defaultKvHeads;
    }

    /** Default of head_dim; 0 stands for hidden size / heads. */
    int defaultHeadSize() {
        return defaultHeadSize;
    }

    boolean isQwen() {
        return this == QWEN2 || this == QWEN3;
    }

    /** Lists the supported values for messages. */
    static String supported() {
        return Arrays.stream(values()).map(ModelType::key).collect(Collectors.joining(", "));
    }
}
