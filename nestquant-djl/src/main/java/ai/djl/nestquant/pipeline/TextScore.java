package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;

/**
 * Token by token, how well a model predicts a text and how far its predictions are from those of a
 * reference on the same tokens.
 *
 * <p>The loss of a token is {@code −ln Q(token)}, Q the model's distribution after the tokens
 * before it; the divergence there is {@code D(P ‖ Q) = Σ_t P(t)·(ln P(t) − ln Q(t))} in nats, P the
 * reference's. Without a reference log-likelihoods are float32, with one everything is double. Not
 * safe for concurrent use.
 */
final class TextScore {

    /** Entries of the vocabulary handled at a time: 16 MB of floats, about 100 MB of doubles. */
    private static final int CHUNK = 2 << 20;

    private final BatchMeans loss = new BatchMeans();
    private final BatchMeans referenceLoss = new BatchMeans();
    private final BatchMeans excess = new BatchMeans();
    private final BatchMeans divergence = new BatchMeans();
    private long agreements;
    private long predicted;
    private boolean compared;

    /**
     * Scores a window.
     *
     * @param ids its tokens
     * @param first the position of the first token that is predicted, at least 1
     * @param logits the model's {@code [tokens][vocabulary]}, float32
     * @param reference the reference's, same shape, or null
     * @throws IllegalStateException if a loss or divergence is not finite
     */
    void add(long[] ids, int first, NDArray logits, NDArray reference) {
        compared = reference != null;
        int rows = Math.max(1, CHUNK / Math.toIntExact(logits.getShape().get(1)));
        for (int from = first - 1; from < ids.length - 1; from += rows) {
            int to = Math.min(ids.length - 1, from + rows);
            try (NDManager scope = NDManager.subManagerOf(logits)) {
                NDIndex slice = new NDIndex().addSliceDim(from, to);
                long[] next = Arrays.copyOfRange(ids, from + 1, to + 1);
                NDArray targets = scope.create(next, new Shape(next.length, 1));
                if (reference == null) {
                    NDArray q = logits.get(scope, slice).logSoftmax(1).gather(targets, 1);
                    addLosses(q.toFloatArray());
                } else {
                    compare(reference.get(scope, slice), logits.get(scope, slice), targets);
                }
            }
        }
        loss.endWindow();
        referenceLoss.endWindow();
        excess.endWindow();
        divergence.endWindow();
        predicted += ids.length - first;
    }

    private void addLosses(float[] likelihoods) {
        for (float likelihood : likelihoods) {
            loss.add(-finite(likelihood, "log-likelihood"));
        }
    }

    private void compare(NDArray reference, NDArray logits, NDArray targets) {
        // in double: float sums over a large vocabulary are off by as much as small divergences
        NDArray p = reference.toType(DataType.FLOAT64, false).logSoftmax(1);
        NDArray q = logits.toType(DataType.FLOAT64, false).logSoftmax(1);
        agreements += p.argMax(1).eq(q.argMax(1)).sum().toLongArray()[0];
        double[] own = q.gather(targets, 1).toDoubleArray();
        double[] others = p.gather(targets, 1).toDoubleArray();
        double[] kl = p.sub(q).muli(p.exp()).sum(new int[] {1}).toDoubleArray();
        for (int i = 0; i < kl.length; i++) {
            loss.add(-finite(own[i], "log-likelihood"));
            referenceLoss.add(-finite(others[i], "reference's log-likelihood"));
            excess.add(others[i] - own[i]);
            divergence.add(finite(kl[i], "divergence"));
        }
    }

    private double finite(double value, String what) {
        if (!Double.isFinite(value)) {
            throw new IllegalStateException(
                    String.format(
                            "the %s of a token after %d predicted ones is %s: the weights of the"
                                    + " model or their quantisation are damaged",
                            what, predicted, value));
        }
        return value;
    }

    /** Returns {@code exp} of the mean loss. */
    double perplexity() {
        return Math.exp(loss.mean());
    }

    /** Returns the nats per predicted token, or null without a reference. */
    Double meanDivergence() {
        return compared ? divergence.mean() : null;
    }

    /**
     * Returns the share of predicted tokens with the same most probable successor, or null without
     * a reference.
     */
    Double top1Agreement() {
        return compared ? (Double) ((double) agreements / predicted) : null;
    }

    /** Returns the differences from the reference with their intervals, or null without one. */
    PairedReport paired() {
        if (!compared) {
            return null;
        }
        double own = perplexity();
        double reference = Math.exp(referenceLoss.mean());
        double mean = excess.mean();
        double width = excess.halfWidth();
        return new PairedReport(
                BatchMeans.LEVEL,
                excess.batches(),
                known(own * Math.exp(-loss.halfWidth())),
                known(own * Math.exp(loss.halfWidth())),
                reference,
                own - reference,
                known(reference * Math.expm1(mean - width)),
                known(reference * Math.expm1(mean + width)),
                known(divergence.mean() - divergence.halfWidth()),
                known(divergence.mean() + divergence.halfWidth()));
    }

    private static Double known(double value) {
        return Double.isNaN(value) ? null : (Double) value;
    }
}
