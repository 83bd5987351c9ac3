package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.function.BiFunction;

/**
 * Causal self-attention with rotary positions, grouped query heads and an optional sliding window.
 *
 * <p>Input and output {@code [batch][tokens][hidden]}; positions, masks and the cache come with the
 * pass (see {@link CausalLm}). Stateless after construction and therefore safe for concurrent use.
 */
public class RotaryAttention extends AbstractBlock implements TransformableBlock {

    private final ModelConfig config;
    private final int layer;
    private final Block query;
    private final Block key;
    private final Block value;
    private final Block output;
    private final Block queryNorm;
    private final Block keyNorm;

    /**
     * Constructs the block from its projections.
     *
     * @param config the model's configuration
     * @param layer the index of the decoder layer, which selects its cache and window
     * @param query hidden to {@code heads · headSize}
     * @param key hidden to {@code kvHeads · headSize}
     * @param value hidden to {@code kvHeads · headSize}
     * @param output {@code heads · headSize} to hidden
     * @param queryNorm normalises each query head vector before the rotation, or null
     * @param keyNorm normalises each key head vector before the rotation, or null
     */
    @SuppressWarnings("this-escape")
    public RotaryAttention(
            ModelConfig config,
            int layer,
            Block query,
            Block key,
            Block value,
            Block output,
            Block queryNorm,
            Block keyNorm) {
        this.config = config;
        this.layer = layer;
        this.query = addChildBlock("q_proj", query);
        this.key = addChildBlock("k_proj", key);
        this.value = addChildBlock("v_proj", value);
        this.output = addChildBlock("o_proj", output);
        this.queryNorm = queryNorm == null ? null : addChildBlock("q_norm", queryNorm);
        this.keyNorm = keyNorm == null ? null : addChildBlock("k_norm", keyNorm);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        Pass pass = Pass.of(params);
        try (NDManager scope = NDManager.subManagerOf(x)) {
            scope.tempAttachAll(x);
            NDArray q = heads(Blocks.apply(query, store, x, params), config.heads());
            NDArray k = heads(Blocks.apply(key, store, x, params), config.kvHeads());
            NDArray v = heads(Blocks.apply(value, store, x, params), config.kvHeads());
            if (queryNorm != null) {
                q = Blocks.apply(queryNorm, store, q, params);
                k = Blocks.apply(keyNorm, store, k, params);
            }
            q = RotaryEmbedding.apply(q, pass.cos, pass.sin);
            k = RotaryEmbedding.apply(k, pass.cos, pass.sin);
            if (pass.cache != null) {
                NDList all = pass.cache.append(layer, k, v);
                k = all.get(0);
                v = all.get(1);
            }
            NDArray mixed = attend(q, k, v, pass.mask(config.slidingWindow(layer)));
            return new NDList(scope.ret(Blocks.apply(output, store, mixed, params)));
        }
    }

    /**
     * From {@code [batch][tokens][heads · headSize]} to {@code [batch][heads][tokens][headSize]}.
     */
    private NDArray heads(NDArray x, int heads) {
        Shape shape = x.getShape();
        return x.reshape(shape.get(0), shape.get(1), heads, config.headSize())
                .transpose(0, 2, 1, 3);
    }

    /**
     * Softmax attention; the query heads of a group are stacked as rows of one product, so that
     * keys and values need no copies.
     */
    private NDArray attend(NDArray q, NDArray k, NDArray v, NDArray mask) {
        long batch = q.getShape().get(0);
        long tokens = q.getShape().get(2);
        long length = k.getShape().get(2);
        int kvHeads = config.kvHeads();
        long rows = config.heads() / kvHeads * tokens;
        float scale = (float) (1 / Math.sqrt(config.headSize()));
        NDArray logits =
                q.mul(scale)
                        .reshape(batch, kvHeads, rows, config.headSize())
                        .matMul(k.transpose(0, 1, 3, 2));
        if (mask != null) {
            Shape perHead = new Shape(batch, config.heads(), tokens, length);
            logits = logits.reshape(perHead).addi(mask).reshape(batch, kvHeads, rows, length);
        }
        return logits.softmax(-1)
                .matMul(v)
                .reshape(batch, config.heads(), tokens, config.headSize())
                .transpose(0, 2, 1, 3)
                .reshape(batch, tokens, (long) config.heads() * config.headSize());
    }

    /** {@inheritDoc} */
    @Override
    public Block withChildren(BiFunction<String, Block, Block> transform) {
        return new RotaryAttention(
                config,
                layer,
                transform.apply("q_proj", query),
                transform.apply("k_proj", key),
                transform.apply("v_proj", value),
                transform.apply("o_proj", output),
                queryNorm,
                keyNorm);
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return new Shape[] {inputShapes[0]};
    }
}
