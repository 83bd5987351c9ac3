package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.function.BiFunction;

/**
 * The gated feed-forward block {@code down(silu(gate(x)) · up(x))}.
 *
 * <p>Input and output {@code [batch][tokens][hidden]}. Stateless after construction and therefore
 * safe for concurrent use.
 */
public final class SwiGlu extends AbstractBlock implements TransformableBlock {

    final Block gate;
    final Block up;
    final Block down;

    /**
     * Constructs the block from its projections.
     *
     * @param gate hidden to intermediate
     * @param up hidden to intermediate
     * @param down intermediate to hidden
     */
    @SuppressWarnings("this-escape")
    public SwiGlu(Block gate, Block up, Block down) {
        this.gate = addChildBlock("gate_proj", gate);
        this.up = addChildBlock("up_proj", up);
        this.down = addChildBlock("down_proj", down);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        try (NDManager scope = NDManager.subManagerOf(x)) {
            scope.tempAttachAll(x);
            NDArray[] projected = Blocks.applyAll(store, x, params, gate, up);
            NDArray inner = Activation.swish(projected[0], 1f).muli(projected[1]);
            return new NDList(scope.ret(Blocks.apply(down, store, inner, params)));
        }
    }

    /** {@inheritDoc} */
    @Override
    public Block withChildren(BiFunction<String, Block, Block> transform) {
        return new SwiGlu(
                transform.apply("gate_proj", gate),
                transform.apply("up_proj", up),
                transform.apply("down_proj", down));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return new Shape[] {inputShapes[0]};
    }
}
