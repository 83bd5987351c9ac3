package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/**
 * Log-likelihoods of continuations, {@code Σ ln p(token | context and tokens before it)}.
 *
 * <p>Sequences of like length pass through the model together, filled up behind their ends, which
 * causal attention does not see. Safe for concurrent use if the logits function is.
 */
final class Continuations {

    /** Floats of logits held at a time, 200 MB. */
    private static final int BATCH_FLOATS = 50 << 20;

    private final NDManager manager;
    private final UnaryOperator<NDArray> logits;
    private final int vocabulary;

    /**
     * Creates the measure for a model.
     *
     * @param manager the parent of the arrays that a batch needs
     * @param logits from token ids {@code [batch][tokens]}, int64, to logits {@code
     *     [batch][tokens][vocabulary]}, float32
     * @param vocabulary the number of tokens that there are
     */
    Continuations(NDManager manager, UnaryOperator<NDArray> logits, int vocabulary) {
        this.manager = manager;
        this.logits = logits;
        this.vocabulary = vocabulary;
    }

    /**
     * A tokenised context with its continuation.
     *
     * @param ids the tokens of both
     * @param start the position of the continuation's first token, at least 1
     */
    record Request(long[] ids, int start) {

        /** The last token is predicted, but predicts nothing. */
        int inputs() {
            return ids.length - 1;
        }
    }

    /**
     * How likely a continuation is.
     *
     * @param logLikelihood the sum over its tokens, in nats
     * @param greedy true if each of its tokens is the most probable one
     */
    record Score(double logLikelihood, boolean greedy) {}

    /**
     * Scores continuations.
     *
     * @param requests the continuations
     * @param onRequest takes the number of continuations done, after each batch
     * @return their scores in the same order
     */
    Score[] score(List<Request> requests, IntConsumer onRequest) {
        int[] order =
                IntStream.range(0, requests.size())
                        .boxed()
                        .sorted(Comparator.comparingInt(i -> -requests.get(i).inputs()))
                        .mapToInt(Integer::intValue)
                        .toArray();
        Score[] scores = new Score[order.length];
        for (int from = 0; from < order.length; ) {
            int longest = requests.get(order[from]).inputs();
            int size = Math.max(1, BATCH_FLOATS / vocabulary / longest);
            int to = Math.min(order.length, from + size);
            scoreBatch(requests, Arrays.copyOfRange(order, from, to), longest, scores);
            from = to;
            onRequest.accept(from);
        }
        return scores;
    }

    private void scoreBatch(List<Request> requests, int[] batch, int longest, Score[] scores) {
        long[] ids = new long[batch.length * longest];
        for (int i = 0; i < batch.length; i++) {
            Request request = requests.get(batch[i]);
            System.arraycopy(request.ids, 0, ids, i * longest, request.inputs());
        }
        try (NDManager scope = manager.newSubManager()) {
            NDArray all = logits.apply(scope.create(ids, new Shape(batch.length, longest)));
            for (int i = 0; i < batch.length; i++) {
                scores[batch[i]] = score(requests.get(batch[i]), all, i);
            }
        }
    }

    private static Score score(Request request, NDArray all, int index) {
        try (NDManager scope = NDManager.subManagerOf(all)) {
            NDIndex rows =
                    new NDIndex()
                            .addIndices(index)
                            .addSliceDim(request.start - 1, request.inputs());
            NDArray q = all.get(scope, rows).logSoftmax(1);
            long[] targets = Arrays.copyOfRange(request.ids, request.start, request.ids.length);
            NDArray column = scope.create(targets, new Shape(targets.length, 1));
            double sum = 0;
            for (float value : q.gather(column, 1).toFloatArray()) {
                sum += value;
            }
            if (!Double.isFinite(sum)) {
                throw new IllegalStateException(
                        "the log-likelihood of a continuation is "
                                + sum
                                + ": the model's weights or their quantisation are damaged");
            }
            return new Score(sum, Arrays.equals(q.argMax(1).toLongArray(), targets));
        }
    }
}
