package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;

/**
 * How far a model's predictions are from those of a reference on the same tokens: the mean of
 * {@code D(P ‖ Q) = Σ_t P(t)·(ln P(t) − ln Q(t))} in nats per predicted token, P the reference's
 * distribution of the next token and Q the model's, and the share of tokens on whose most probable
 * successor both agree.
 *
 * <p>Computed in double. Not safe for concurrent use.
 */
final class Divergence {

    /** Entries of the vocabulary compared at a time, about 100 MB of doubles. */
    private static final int CHUNK = 2 << 20;

    private double sum;
    private long agreements;
    private long predicted;

    /**
     * Compares one window; what follows its last token is not predicted.
     *
     * @param reference the reference's logits {@code [1][tokens][vocabulary]}, float32
     * @param logits the model's logits, same shape
     * @throws IllegalStateException if the window's divergence is not finite
     */
    void add(NDArray reference, NDArray logits) {
        int tokens = Math.toIntExact(logits.getShape().get(1)) - 1;
        int rows = Math.max(1, CHUNK / Math.toIntExact(logits.getShape().get(2)));
        double window = 0;
        for (int from = 0; from < tokens; from += rows) {
            int to = Math.min(tokens, from + rows);
            try (NDManager scope = NDManager.subManagerOf(logits)) {
                NDIndex slice = new NDIndex().addIndices(0).addSliceDim(from, to);
                NDArray p = logProbabilities(reference.get(scope, slice));
                NDArray q = logProbabilities(logits.get(scope, slice));
                agreements += p.argMax(1).eq(q.argMax(1)).sum().toLongArray()[0];
                window += p.sub(q).muli(p.exp()).sum().getDouble();
            }
        }
        if (!Double.isFinite(window)) {
            throw new IllegalStateException(
                    "the divergence of the predictions from token "
                            + predicted
                            + " on is "
                            + window
                            + ": the weights of one of the models are damaged");
        }
        sum += window;
        predicted += tokens;
    }

    /** In double: float sums over a large vocabulary are off by as much as small divergences. */
    private static NDArray logProbabilities(NDArray logits) {
        return logits.toType(DataType.FLOAT64, false).logSoftmax(1);
    }

    /** Returns the nats per predicted token. */
    double mean() {
        return sum / predicted;
    }

    /** Returns the share of predicted tokens with the same most probable successor. */
    double top1Agreement() {
        return (double) agreements / predicted;
    }
}
