package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Embedding;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/** A {@link Vocabulary} of floats. Stateless and therefore safe for concurrent use. */
final class FloatVocabulary extends AbstractBlock implements Vocabulary {

    private final Parameter weight;

    /**
     * Wraps a matrix.
     *
     * @param array float32 {@code [vocabulary][hidden]}; owned by the block from now on
     */
    @SuppressWarnings("this-escape")
    FloatVocabulary(NDArray array) {
        weight = addParameter(Blocks.parameter("weight", Parameter.Type.WEIGHT, array));
    }

    /** {@inheritDoc} */
    @Override
    public NDArray embed(ParameterStore store, NDArray ids) {
        NDArray table = store.getValue(weight, ids.getDevice(), false);
        return Embedding.embedding(ids, table, SparseFormat.DENSE).singletonOrThrow();
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        return Linear.linear(x, store.getValue(weight, x.getDevice(), false));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        long size = weight.getArray().getShape().get(0);
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(size)};
    }
}
