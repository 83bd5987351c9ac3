package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import java.util.function.IntConsumer;
import java.util.function.UnaryOperator;

/**
 * The perplexity of a text, {@code exp(−(1/n)·Σ ln p(token | tokens before it in its window))}.
 *
 * <p>Every window stands alone: positions start at 0, nothing is put in front, and all of its
 * tokens but the first are predicted; n is their number over all windows. Log-likelihoods are
 * float32, their sum is double. Safe for concurrent use if the logits function is.
 */
public final class Perplexity {

    /** Floats of log-probabilities held at a time, 16 MB; a window of logits is held besides. */
    private static final int CHUNK_FLOATS = 4 << 20;

    private final NDManager manager;
    private final UnaryOperator<NDArray> logits;

    /**
     * Creates the measure for a model.
     *
     * @param manager the parent of the arrays that one window needs
     * @param logits from token ids {@code [1][tokens]}, int64, to logits {@code
     *     [1][tokens][vocabulary]}, float32
     */
    public Perplexity(NDManager manager, UnaryOperator<NDArray> logits) {
        this.manager = manager;
        this.logits = logits;
    }

    /**
     * Scores windows.
     *
     * @param windows the windows
     * @param onWindow takes the number of windows done, after each
     * @return the perplexity
     * @throws IllegalStateException if a window's likelihood is not finite
     */
    public double of(TokenWindows windows, IntConsumer onWindow) {
        double loss = 0;
        for (int i = 0; i < windows.count(); i++) {
            double windowLoss = loss(windows.window(i));
            if (!Double.isFinite(windowLoss)) {
                throw new IllegalStateException(
                        "the negative log-likelihood of window "
                                + i
                                + " is "
                                + windowLoss
                                + ": the model's weights or their quantisation are damaged");
            }
            loss += windowLoss;
            onWindow.accept(i + 1);
        }
        return Math.exp(loss / (windows.tokens() - windows.count()));
    }

    /** Returns the summed negative log-likelihood of all tokens of a window but the first. */
    private double loss(long[] ids) {
        double loss = 0;
        try (NDManager scope = manager.newSubManager()) {
            NDArray all = logits.apply(scope.create(ids, new Shape(1, ids.length)));
            all.attach(scope);
            int vocabulary = Math.toIntExact(all.getShape().get(2));
            int rows = Math.max(1, CHUNK_FLOATS / vocabulary);
            for (int from = 0; from < ids.length - 1; from += rows) {
                int to = Math.min(ids.length - 1, from + rows);
                long[] targets = Arrays.copyOfRange(ids, from + 1, to + 1);
                loss -= logLikelihood(all, from, to, targets);
            }
        }
        return loss;
    }

    private static double logLikelihood(NDArray logits, int from, int to, long[] targets) {
        try (NDManager scope = NDManager.subManagerOf(logits)) {
            NDArray rows = logits.get(scope, new NDIndex().addIndices(0).addSliceDim(from, to));
            NDArray column = scope.create(targets, new Shape(targets.length, 1));
            double sum = 0;
            for (float value : rows.logSoftmax(1).gather(column, 1).toFloatArray()) {
                sum += value;
            }
            return sum;
        }
    }
}
