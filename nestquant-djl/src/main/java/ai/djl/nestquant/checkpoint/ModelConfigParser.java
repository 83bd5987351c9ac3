package ai.djl.nestquant.checkpoint;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Turns {@code config.json} into a {@link ModelConfig}.
 *
 * <p>Real files carry many keys that do not change what the model computes; those are not read. A
 * key that would change it and is not implemented is an error. One instance parses one file on one
 * thread.
 */
final class ModelConfigParser {

    private static final int MAX_LAYERS = 1 << 12;
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_HEADS = 1 << 12;
    private static final int MAX_HEAD_SIZE = 1 << 13;
    private static final int MAX_VOCABULARY = 1 << 24;
    private static final int DEFAULT_WINDOW = 4096;
    private static final int DEFAULT_MAX_WINDOW_LAYERS = 28;

    private static final String WINDOW = "sliding_window";
    private static final String USE_WINDOW = "use_sliding_window";
    private static final String LAYER_TYPES = "layer_types";
    private static final String FULL = "full_attention";
    private static final String SLIDING = "sliding_attention";

    /** Keys of other architectures that change the computation: any value is an error. */
    private static final List<String> FORBIDDEN =
            List.of(
                    "compression_config",
                    "attn_logit_softcapping",
                    "final_logit_softcapping",
                    "query_pre_attn_scalar",
                    "num_experts",
                    "num_local_experts",
                    "n_routed_experts",
                    "num_experts_per_tok",
                    "moe_intermediate_size",
                    "kv_lora_rank",
                    "clip_qkv",
                    "no_rope_layers",
                    "vision_config",
                    "text_config");

    /** Keys that must have a neutral value where they stand: multipliers and fractions of 1. */
    private static final List<String> ONES =
            List.of(
                    "partial_rotary_factor",
                    "rotary_pct",
                    "attention_multiplier",
                    "embedding_multiplier",
                    "residual_multiplier",
                    "logits_scaling",
                    "logit_scale");

    /** Keys that must be false where they stand. */
    private static final List<String> FALSES =
            List.of(
                    "is_encoder_decoder",
                    "add_cross_attention",
                    "alibi",
                    "use_bidirectional_attention",
                    "rope_interleave",
                    "rope_interleaved",
                    "qk_layernorm",
                    "use_qk_norm",
                    "use_moe",
                    "use_mrope");

    private final ConfigSection config;
    private final ModelType type;
    private final int layers;

    private ModelConfigParser(ConfigSection config) throws CheckpointException {
        this.config = config;
        this.type = parseType(config);
        this.layers = config.integer("num_hidden_layers", 1, MAX_LAYERS);
    }

    static ModelConfig parse(ConfigSection config) throws CheckpointException {
        ModelConfigParser parser = new ModelConfigParser(config);
        parser.rejectUnsupported();
        return parser.parse();
    }

    private ModelConfig parse() throws CheckpointException {
        int hidden = config.integer("hidden_size", 1, MAX_WIDTH);
        int heads = config.integer("num_attention_heads", 1, MAX_HEADS);
        boolean attentionBias = config.flag("attention_bias", false);
        return new ModelConfig(
                type,
                layers,
                hidden,
                config.integer("intermediate_size", 1, MAX_WIDTH),
                heads,
                kvHeads(heads),
                headSize(hidden, heads),
                config.integer("vocab_size", 1, MAX_VOCABULARY),
                config.integer(
                        "max_position_embeddings",
                        type.defaultMaxPositions(),
                        1,
                        ModelConfig.MAX_POSITIONS),
                config.number("rms_norm_eps", 1e-6, Double.MIN_NORMAL, 1),
                RopeConfig.parse(config),
                // Qwen2 has these three biases whatever attention_bias says
                type == ModelType.QWEN2 || attentionBias,
                type != ModelType.QWEN2 && attentionBias,
                config.flag("mlp_bias", false),
                type == ModelType.QWEN3,
                config.flag("tie_word_embeddings", false),
                slidingWindows(),
                dtype(),
                bosTokenId(),
                eosTokenIds());
    }

    private static ModelType parseType(ConfigSection config) throws CheckpointException {
        String key = config.text("model_type", null);
        if (key == null) {
            throw config.error(
                    "model_type", "is missing; supported values: " + ModelType.supported());
        }
        for (ModelType type : ModelType.values()) {
            if (type.key().equals(key)) {
                return type;
            }
        }
        throw config.unsupported("model_type", ModelType.supported());
    }

    private void rejectUnsupported() throws CheckpointException {
        for (String key : FORBIDDEN) {
            if (config.has(key)) {
                throw config.unsupported(key, "only models without this key (or with null)");
            }
        }
        if (!ContainerConfig.describes(config) && config.has(ContainerConfig.KEY)) {
            throw config.unsupported(
                    ContainerConfig.KEY,
                    "quant_method \"" + ContainerConfig.METHOD + "\", or none (or null)");
        }
        for (String key : ONES) {
            if (config.number(key, 1, -Double.MAX_VALUE, Double.MAX_VALUE) != 1) {
                throw config.unsupported(key, "1");
            }
        }
        for (String key : FALSES) {
            rejectTrue(key);
        }
        if (type == ModelType.MISTRAL) {
            rejectTrue("attention_bias");
        }
        if (type != ModelType.LLAMA) {
            rejectTrue("mlp_bias");
        }
        // transformers knows the same function under both names
        if (!List.of("silu", "swish").contains(config.text("hidden_act", "silu"))) {
            throw config.unsupported("hidden_act", "silu, swish");
        }
        String causal = type.key() + "forcausallm";
        List<String> architectures = config.texts("architectures");
        if (!architectures.isEmpty()
                && architectures.stream().noneMatch(name -> name.equalsIgnoreCase(causal))) {
            throw config.unsupported(
                    "architectures", "for model_type " + type.key() + " the ...ForCausalLM model");
        }
    }

    private void rejectTrue(String key) throws CheckpointException {
        if (config.flag(key, false)) {
            throw config.unsupported(key, "false for model_type " + type.key());
        }
    }

    private int kvHeads(int heads) throws CheckpointException {
        String key = "num_key_value_heads";
        boolean all = config.isNull(key) || type.defaultKvHeads() == 0;
        int kvHeads = config.integer(key, all ? heads : type.defaultKvHeads(), 1, MAX_HEADS);
        if (heads % kvHeads != 0) {
            throw config.error(
                    key,
                    (config.has(key) ? "= " : "is absent, which means ")
                            + kvHeads
                            + ", but it must divide num_attention_heads = "
                            + heads);
        }
        return kvHeads;
    }

    private int headSize(int hidden, int heads) throws CheckpointException {
        String key = "head_dim";
        int headSize;
        if (config.has(key)) {
            headSize = config.integer(key, 1, MAX_HEAD_SIZE);
        } else if (type.defaultHeadSize() != 0) {
            headSize = type.defaultHeadSize();
        } else if (hidden % heads == 0) {
            headSize = hidden / heads;
        } else {
            throw config.error(
                    key,
                    "is absent and hidden_size = "
                            + hidden
                            + " is not a multiple of num_attention_heads = "
                            + heads);
        }
        if (headSize % 2 != 0) {
            throw config.error(key, "= " + headSize + " must be even for rotary positions");
        }
        if (heads * headSize > MAX_WIDTH) {
            throw config.error(
                    key, "= " + headSize + " times " + heads + " heads exceeds " + MAX_WIDTH);
        }
        return headSize;
    }

    /** Returns the window of every layer, as the type's configuration class fills layer_types. */
    private List<Integer> slidingWindows() throws CheckpointException {
        int window = window();
        List<String> layerTypes = config.texts(LAYER_TYPES);
        if (layerTypes.isEmpty()) {
            int first =
                    type.isQwen()
                            ? config.integer(
                                    "max_window_layers",
                                    DEFAULT_MAX_WINDOW_LAYERS,
                                    0,
                                    Integer.MAX_VALUE)
                            : 0;
            List<Integer> windows = new ArrayList<>();
            for (int layer = 0; layer < layers; layer++) {
                windows.add(layer >= first ? window : 0);
            }
            return windows;
        }
        return listedWindows(layerTypes, window);
    }

    private List<Integer> listedWindows(List<String> layerTypes, int window)
            throws CheckpointException {
        if (layerTypes.size() != layers) {
            throw config.error(
                    LAYER_TYPES, "has " + layerTypes.size() + " entries for " + layers + " layers");
        }
        List<Integer> windows = new ArrayList<>();
        for (String layerType : layerTypes) {
            if (!layerType.equals(FULL) && !layerType.equals(SLIDING)) {
                throw config.unsupported(LAYER_TYPES, FULL + ", " + SLIDING);
            }
            if (layerType.equals(SLIDING) && window == 0) {
                throw config.error(LAYER_TYPES, "names " + SLIDING + " without a " + WINDOW);
            }
            windows.add(layerType.equals(SLIDING) ? window : 0);
        }
        // transformers reads the list for Qwen only; elsewhere it must say what the type does
        if (!type.isQwen() && !windows.equals(Collections.nCopies(layers, window))) {
            throw config.unsupported(
                    LAYER_TYPES, "for model_type " + type.key() + " one type for all layers");
        }
        return windows;
    }

    /** Returns the window of the layers that have one, or 0 for none. */
    private int window() throws CheckpointException {
        switch (type) {
            case MISTRAL:
                return config.isNull(WINDOW) ? 0 : windowOrDefault();
            case QWEN2:
            case QWEN3:
                return config.flag(USE_WINDOW, false) && !config.isNull(WINDOW)
                        ? windowOrDefault()
                        : 0;
            default:
                if (config.has(WINDOW) && config.flag(USE_WINDOW, true)) {
                    throw config.unsupported(WINDOW, "null for model_type " + type.key());
                }
                return 0;
        }
    }

    private int windowOrDefault() throws CheckpointException {
        return config.integer(WINDOW, DEFAULT_WINDOW, 1, ModelConfig.MAX_POSITIONS);
    }

    private Optional<String> dtype() throws CheckpointException {
        return Optional.ofNullable(config.text("dtype", config.text("torch_dtype", null)));
    }

    private OptionalInt bosTokenId() throws CheckpointException {
        OptionalInt id = config.optionalInteger("bos_token_id", 0, Integer.MAX_VALUE);
        boolean absent = id.isEmpty() && !config.isNull("bos_token_id");
        return absent && !type.isQwen() ? OptionalInt.of(1) : id;
    }

    private List<Integer> eosTokenIds() throws CheckpointException {
        if (config.has("eos_token_id")) {
            return config.ids("eos_token_id");
        }
        boolean absent = !config.isNull("eos_token_id");
        return absent && !type.isQwen() ? List.of(2) : List.of();
    }
}
