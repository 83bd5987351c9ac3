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

    final ModelConfig config;
    final int layer;
    final Block query;
    final Block key;
    final Block value;
    final Block output;
    final Block queryNorm;
    final Block keyNorm;

    /** Whether the rotation of {@link NestQuantAttention} is in the weights already. */
    boolean valuesFolded;

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
            NDArray[] projected = Blocks.applyAll(store, x, params, query, key, value);
            NDArray q = heads(projected[0], config.heads());
            NDArray k = heads(projected[1], config.kvHeads());
            NDArray v = heads(projected[2], config.kvHeads());
            if (queryNorm != null) {
                q = Blocks.apply(queryNorm, store, q, params);
                k = Blocks.apply(keyNorm, store, k, params);
            }
            q = RotaryEmbedding.apply(q, pass.cos(), pass.sin());
            k = RotaryEmbedding.apply(k, pass.cos(), pass.sin());
            NDArray mixed = attend(pass, q, k, v);
            Shape flat = x.getShape().slice(0, 2).add((long) config.heads() * config.headSize());
            mixed = mixed.transpose(0, 2, 1, 3).reshape(flat);
            return new NDList(scope.ret(Blocks.apply(output, store, mixed, params)));
        }
    }

    /** Tells whether a {@link FusedLayer} does the same. */
    boolean fusible() {
        return true;
    }

    /**
     * Appends keys and values to the cache, if there is one, and lets the queries attend to all.
     *
     * @param pass the pass
     * @param q queries {@code [batch][heads][tokens][headSize]}
     * @param k new keys {@code [batch][kvHeads][tokens][headSize]}
     * @param v new values, same shape
     * @return mixed values {@code [batch][heads][tokens][headSize]}
     */
    NDArray attend(Pass pass, NDArray q, NDArray k, NDArray v) {
        NDArray mask = pass.mask(config.slidingWindow(layer));
        if (pass.cache == null) {
            return softmaxAttention(q, k, v, mask);
        }
        NDList all = pass.cache.append(layer, k, v);
        return softmaxAttention(q, all.get(0), all.get(1), mask);
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
    private NDArray softmaxAttention(NDArray q, NDArray k, NDArray v, NDArray mask) {
        long batch = q.getShape().get(0);
        long tokens = q.getShape().get(2);
        long size = q.getShape().get(3);
        long length = k.getShape().get(2);
        int kvHeads = config.kvHeads();
        long rows = config.heads() / kvHeads * tokens;
        float scale = (float) (1 / Math.sqrt(config.headSize()));
        NDArray logits =
                q.mul(scale).reshape(batch, kvHeads, rows, size).matMul(k.transpose(0, 1, 3, 2));
        if (mask != null) {
            Shape perHead = new Shape(batch, config.heads(), tokens, length);
            logits = logits.reshape(perHead).addi(mask).reshape(batch, kvHeads, rows, length);
        }
        return logits.softmax(-1).matMul(v).reshape(batch, config.heads(), tokens, size);
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
