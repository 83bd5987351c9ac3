package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.Block;
import ai.djl.nn.core.Linear;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Builds a {@link CausalLm} from a HuggingFace model directory.
 *
 * <p>The embedding is coded first, then layers are read, balanced and transformed one after
 * another, so that quantising needs no more memory than the packed model, the float embedding or
 * one float layer, and what a pass of the calibration text through it takes. Not safe for
 * concurrent use.
 */
public final class CausalLmLoader {

    private static final String EMBEDDING = "model.embed_tokens";
    private static final String HEAD = "lm_head";

    private final ModelConfig config;
    private final Checkpoint checkpoint;
    private final NDManager manager;
    private final QuantizationConfig quantization;
    private final BlockTransformer transformer;

    CausalLmLoader(
            ModelConfig config,
            Checkpoint checkpoint,
            NDManager manager,
            QuantizationConfig quantization) {
        this.config = config;
        this.checkpoint = checkpoint;
        this.manager = manager;
        this.quantization = quantization;
        transformer = new BlockTransformer(quantization, manager);
    }

    /**
     * Loads a model as its checkpoint has it, without balancing.
     *
     * @param directory the directory with config.json and safetensors files
     * @param quantization what to put on codes
     * @param manager owns the weights, which live until it is closed
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     * @throws IllegalArgumentException if {@code head=w4} is asked of a tied head, or a weight is
     *     NaN or infinite
     */
    public static CausalLm load(Path directory, QuantizationConfig quantization, NDManager manager)
            throws IOException, MalformedModelException {
        return load(directory, quantization, new long[0], manager);
    }

    /**
     * Loads a model, balancing channels for a calibration text before they are coded.
     *
     * <p>Where weights are coded and {@link QuantizationConfig#balance} is on, the text runs
     * through each float layer before that is balanced and coded. Of more than 1024 tokens, or more
     * than the model has positions, only the first are used.
     *
     * @param directory the directory with config.json and safetensors files
     * @param quantization what to put on codes
     * @param calibrationIds a text of a few hundred tokens; empty or null for no balancing
     * @param manager owns the weights, which live until it is closed
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     * @throws IllegalArgumentException if a token id is outside the vocabulary, {@code head=w4} is
     *     asked of a tied head, or a weight is NaN or infinite
     */
    public static CausalLm load(
            Path directory,
            QuantizationConfig quantization,
            long[] calibrationIds,
            NDManager manager)
            throws IOException, MalformedModelException {
        ModelConfig config = ModelConfig.load(directory);
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            return new CausalLmLoader(config, checkpoint, manager, quantization)
                    .build(quantization.balances() ? calibrationIds : null);
        }
    }

    /**
     * Builds the model.
     *
     * @param calibrationIds the text to balance for, or null or empty for no balancing
     */
    CausalLm build(long[] calibrationIds) throws IOException, MalformedModelException {
        if (config.tiedEmbeddings() && quantization.head() == QuantizationConfig.Head.W4) {
            throw new IllegalArgumentException(
                    "head=w4 needs an output head of its own, but this model's head is its"
                            + " embedding; use head=int8 or head=float");
        }
        NDArray embedding =
                tensor(EMBEDDING + ".weight", config.vocabularySize(), config.hiddenSize());
        if (calibrationIds == null || calibrationIds.length == 0) {
            return build(embedding, null);
        }
        try (CalibrationPass pass = new CalibrationPass(config, embedding, calibrationIds)) {
            return build(embedding, pass);
        }
    }

    private CausalLm build(NDArray embedding, CalibrationPass calibration)
            throws IOException, MalformedModelException {
        // the calibration pass has begun already, so no one needs the float embedding any more
        Vocabulary vocabulary = vocabulary(EMBEDDING, embedding);
        List<Block> layers = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            String name = "model.layers." + i;
            DecoderLayer layer = layer(i);
            if (calibration != null) {
                calibration.balanceLayer(name, layer);
            }
            layers.add(transformer.transform(name, layer));
        }
        Block norm = norm("model.norm", config.hiddenSize());
        Block head = config.tiedEmbeddings() ? null : head(norm, calibration);
        return new CausalLm(config, quantization, vocabulary, layers, norm, head);
    }

    /** Codes an embedding or head, which is freed then, if the configuration says so. */
    private Vocabulary vocabulary(String name, NDArray weight) {
        boolean coded = quantization.codesVocabulary(name);
        if (config.tiedEmbeddings()) {
            coded &= quantization.codesVocabulary(HEAD);
        }
        if (!coded) {
            return new FloatVocabulary(weight);
        }
        try (weight) {
            return CodedVocabulary.encode(name, weight, manager);
        }
    }

    private Block head(Block norm, CalibrationPass calibration)
            throws IOException, MalformedModelException {
        Linear linear = linear(HEAD, config.vocabularySize(), config.hiddenSize(), false);
        if (calibration != null) {
            calibration.balanceHead(HEAD, norm, linear);
        }
        switch (quantization.head()) {
            case W4:
                return transformer.transform(HEAD, linear);
            case INT8:
                return vocabulary(HEAD, linear.getParameters().get("weight").getArray());
            default:
                return linear;
        }
    }

    private DecoderLayer layer(int index) throws IOException, MalformedModelException {
        String name = "model.layers." + index + ".";
        return new DecoderLayer(
                norm(name + "input_layernorm", config.hiddenSize()),
                attention(index, name + "self_attn."),
                norm(name + "post_attention_layernorm", config.hiddenSize()),
                feedForward(name + "mlp."));
    }

    private Block attention(int index, String name) throws IOException, MalformedModelException {
        int hidden = config.hiddenSize();
        int queries = config.heads() * config.headSize();
        int keys = config.kvHeads() * config.headSize();
        boolean bias = config.qkvBias();
        Block queryNorm = null;
        Block keyNorm = null;
        if (config.qkNorm()) {
            queryNorm = norm(name + "q_norm", config.headSize());
            keyNorm = norm(name + "k_norm", config.headSize());
        }
        return new RotaryAttention(
                config,
                index,
                linear(name + "q_proj", queries, hidden, bias),
                linear(name + "k_proj", keys, hidden, bias),
                linear(name + "v_proj", keys, hidden, bias),
                linear(name + "o_proj", hidden, queries, config.outputBias()),
                queryNorm,
                keyNorm);
    }

    private Block feedForward(String name) throws IOException, MalformedModelException {
        int hidden = config.hiddenSize();
        int inner = config.intermediateSize();
        boolean bias = config.mlpBias();
        return new SwiGlu(
                linear(name + "gate_proj", inner, hidden, bias),
                linear(name + "up_proj", inner, hidden, bias),
                linear(name + "down_proj", hidden, inner, bias));
    }

    private Linear linear(String name, int out, int in, boolean bias)
            throws IOException, MalformedModelException {
        return Blocks.linear(
                tensor(name + ".weight", out, in), bias ? tensor(name + ".bias", out) : null);
    }

    private Block norm(String name, int size) throws IOException, MalformedModelException {
        return new RmsNorm(tensor(name + ".weight", size), (float) config.rmsNormEps());
    }

    /** Reads a tensor as float32 and checks that its shape is what the configuration says. */
    private NDArray tensor(String name, long... shape) throws IOException, MalformedModelException {
        checkpoint.require(name, shape);
        NDArray array = manager.create(new Shape(shape), DataType.FLOAT32);
        checkpoint.readFloats(name, 0, array.toByteBuffer(true).asFloatBuffer());
        return array;
    }
}
