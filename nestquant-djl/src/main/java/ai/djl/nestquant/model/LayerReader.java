package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.Block;
import ai.djl.nn.core.Linear;
import java.nio.FloatBuffer;

/**
 * Reads a model's blocks from its checkpoint one by one, as floats. Whoever asks says which manager
 * owns the weights, so that no more than one layer need be held. Not safe for concurrent use.
 */
class LayerReader {

    static final String EMBEDDING = "model.embed_tokens";
    static final String NORM = "model.norm";
    static final String HEAD = "lm_head";

    /** Floats that a thread reads at once. */
    private static final int READ_FLOATS = 1 << 19;

    final ModelConfig config;
    final Checkpoint checkpoint;

    /**
     * Constructs a reader.
     *
     * @param config what the checkpoint must hold
     * @param checkpoint the weights; used until the last block is read
     */
    LayerReader(ModelConfig config, Checkpoint checkpoint) {
        this.config = config;
        this.checkpoint = checkpoint;
    }

    /** Returns the name of a decoder layer. */
    static String layerName(int index) {
        return "model.layers." + index;
    }

    /** Returns the name of a decoder layer's attention block. */
    static String attentionName(int index) {
        return layerName(index) + ".self_attn";
    }

    /** Reads the embedding or the head, {@code [vocabulary][hidden]}. */
    NDArray vocabulary(String name, NDManager manager) throws MalformedModelException {
        return tensor(name + ".weight", manager, config.vocabularySize(), config.hiddenSize());
    }

    /** Looks at the rows of the embedding or the head without reading them yet. */
    RotatedRows vocabularyRows(String name, Rotation rotation) throws MalformedModelException {
        String tensor = name + ".weight";
        checkpoint.require(tensor, config.vocabularySize(), config.hiddenSize());
        return new RotatedRows(
                config.vocabularySize(),
                rotation,
                (first, out) ->
                        read(tensor, (long) first * config.hiddenSize(), FloatBuffer.wrap(out)));
    }

    /** Reads floats on one of several threads. */
    private void read(String tensor, long from, FloatBuffer out) {
        try {
            checkpoint.readFloats(tensor, from, out);
        } catch (MalformedModelException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
    }

    /** Reads embedding rows of tokens, {@code [1][tokens][hidden]}. */
    NDArray embed(long[] ids, NDManager manager) throws MalformedModelException {
        int hidden = config.hiddenSize();
        String tensor = EMBEDDING + ".weight";
        checkpoint.require(tensor, config.vocabularySize(), hidden);
        NDArray rows = manager.create(new Shape(1, ids.length, hidden), DataType.FLOAT32);
        FloatBuffer out = rows.toByteBuffer(true).asFloatBuffer();
        for (int t = 0; t < ids.length; t++) {
            out.limit((t + 1) * hidden).position(t * hidden);
            checkpoint.readFloats(tensor, ids[t] * hidden, out);
        }
        return rows;
    }

    /** Reads a decoder layer. */
    DecoderLayer layer(int index, NDManager manager) throws MalformedModelException {
        String name = layerName(index) + ".";
        return new DecoderLayer(
                norm(name + "input_layernorm", config.hiddenSize(), manager),
                attention(index, attentionName(index) + ".", manager),
                norm(name + "post_attention_layernorm", config.hiddenSize(), manager),
                feedForward(name + "mlp.", manager));
    }

    RotaryAttention attention(int index, String name, NDManager manager)
            throws MalformedModelException {
        int hidden = config.hiddenSize();
        int queries = config.heads() * config.headSize();
        int keys = config.kvHeads() * config.headSize();
        boolean bias = config.qkvBias();
        Block queryNorm = null;
        Block keyNorm = null;
        if (config.qkNorm()) {
            queryNorm = norm(name + "q_norm", config.headSize(), manager);
            keyNorm = norm(name + "k_norm", config.headSize(), manager);
        }
        return new RotaryAttention(
                config,
                index,
                linear(name + "q_proj", queries, hidden, bias, manager),
                linear(name + "k_proj", keys, hidden, bias, manager),
                linear(name + "v_proj", keys, hidden, bias, manager),
                linear(name + "o_proj", hidden, queries, config.outputBias(), manager),
                queryNorm,
                keyNorm);
    }

    private Block feedForward(String name, NDManager manager) throws MalformedModelException {
        int hidden = config.hiddenSize();
        int inner = config.intermediateSize();
        boolean bias = config.mlpBias();
        return new SwiGlu(
                linear(name + "gate_proj", inner, hidden, bias, manager),
                linear(name + "up_proj", inner, hidden, bias, manager),
                linear(name + "down_proj", hidden, inner, bias, manager));
    }

    /** Reads a Linear block. */
    Block linear(String name, int out, int in, boolean bias, NDManager manager)
            throws MalformedModelException {
        return floatLinear(name, out, in, bias, manager);
    }

    /** Reads a Linear block whose weight is stored in floats. */
    final Linear floatLinear(String name, int out, int in, boolean bias, NDManager manager)
            throws MalformedModelException {
        return Blocks.linear(
                tensor(name + ".weight", manager, out, in),
                bias ? tensor(name + ".bias", manager, out) : null);
    }

    /** Reads a norm. */
    Block norm(String name, int size, NDManager manager) throws MalformedModelException {
        return new RmsNorm(tensor(name + ".weight", manager, size), (float) config.rmsNormEps());
    }

    /** Reads the norm after the last layer. */
    Block finalNorm(NDManager manager) throws MalformedModelException {
        return norm(NORM, config.hiddenSize(), manager);
    }

    /** Reads an output head of its own. */
    Block head(NDManager manager) throws MalformedModelException {
        return linear(HEAD, config.vocabularySize(), config.hiddenSize(), false, manager);
    }

    /** Reads a tensor as float32 and checks that its shape is what the configuration says. */
    NDArray tensor(String name, NDManager manager, long... shape) throws MalformedModelException {
        checkpoint.require(name, shape);
        NDArray array = manager.create(new Shape(shape), DataType.FLOAT32);
        long start = 0;
        for (FloatBuffer out : new FloatRows(array).pieces()) {
            long before = start;
            int floats = out.remaining();
            Parallel.forEach(
                    (floats + READ_FLOATS - 1) / READ_FLOATS,
                    part -> {
                        int from = part * READ_FLOATS;
                        int length = Math.min(READ_FLOATS, floats - from);
                        read(name, before + from, out.slice(from, length));
                    });
            start += floats;
        }
        return array;
    }
}
