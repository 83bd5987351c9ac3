package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.List;
import java.util.function.BiFunction;

/**
 * One pre-norm decoder layer: {@code h = x + attention(norm(x))}, {@code y = h +
 * feedForward(norm(h))}.
 *
 * <p>Input and output {@code [batch][tokens][hidden]}. Stateless after construction and therefore
 * safe for concurrent use.
 */
public final class DecoderLayer extends AbstractBlock implements TransformableBlock {

    private final Block attentionNorm;
    final Block attention;
    private final Block feedForwardNorm;
    private final Block feedForward;

    /** The same in one call, or null. */
    private final FusedLayer fused;

    /**
     * Constructs the layer from its parts, each from hidden to hidden.
     *
     * @param attentionNorm normalises the input of attention
     * @param attention the attention block
     * @param feedForwardNorm normalises the input of the feed-forward block
     * @param feedForward the feed-forward block
     */
    @SuppressWarnings("this-escape")
    public DecoderLayer(
            Block attentionNorm, Block attention, Block feedForwardNorm, Block feedForward) {
        this.attentionNorm = addChildBlock("input_layernorm", attentionNorm);
        this.attention = addChildBlock("self_attn", attention);
        this.feedForwardNorm = addChildBlock("post_attention_layernorm", feedForwardNorm);
        this.feedForward = addChildBlock("mlp", feedForward);
        fused = FusedLayer.of(attentionNorm, attention, feedForwardNorm, feedForward);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        if (fused != null && fused.takes(Pass.of(params), x)) {
            return new NDList(FusedLayer.run(List.of(fused), null, Pass.of(params), x.duplicate()));
        }
        try (NDManager scope = NDManager.subManagerOf(x)) {
            scope.tempAttachAll(x);
            NDArray normed = Blocks.apply(attentionNorm, store, x, params);
            NDArray h = x.add(Blocks.apply(attention, store, normed, params));
            NDArray normedAgain = Blocks.apply(feedForwardNorm, store, h, params);
            h.addi(Blocks.apply(feedForward, store, normedAgain, params));
            return new NDList(scope.ret(h));
        }
    }

    /** Returns the layer in one call, or null where a block of it has none. */
    FusedLayer fused() {
        return fused;
    }

    /** {@inheritDoc} */
    @Override
    public Block withChildren(BiFunction<String, Block, Block> transform) {
        return new DecoderLayer(
                attentionNorm,
                transform.apply("self_attn", attention),
                feedForwardNorm,
                transform.apply("mlp", feedForward));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return new Shape[] {inputShapes[0]};
    }
}
