package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.nio.FloatBuffer;

/**
 * Root-mean-square normalisation over the last axis: {@code y = γ · x / sqrt(mean(x²) + ε)}.
 *
 * <p>Input and output have the same shape {@code [..., size]}. Stateless after construction and
 * therefore safe for concurrent use.
 */
public final class RmsNorm extends AbstractBlock {

    private static final int[] LAST_AXIS = {-1};

    private final Parameter weight;
    private final float epsilon;

    /**
     * Constructs the block from its weight.
     *
     * @param gamma the weight γ, shape {@code [size]}; owned by the block from now on
     * @param epsilon ε, added to the mean square
     */
    @SuppressWarnings("this-escape")
    public RmsNorm(NDArray gamma, float epsilon) {
        this.epsilon = epsilon;
        weight = addParameter(Blocks.parameter("weight", Parameter.Type.GAMMA, gamma));
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        NDArray gamma = store.getValue(weight, x.getDevice(), training);
        try (NDManager scope = NDManager.subManagerOf(x)) {
            scope.tempAttachAll(x);
            NDArray meanSquare = x.square().mean(LAST_AXIS, true);
            NDArray y = x.div(meanSquare.addi(epsilon).sqrt()).muli(gamma);
            return new NDList(scope.ret(y));
        }
    }

    /** Returns γ. */
    FloatBuffer gamma() {
        return weight.getArray().toByteBuffer(true).asFloatBuffer();
    }

    /** Returns ε. */
    float epsilon() {
        return epsilon;
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return inputShapes;
    }
}
