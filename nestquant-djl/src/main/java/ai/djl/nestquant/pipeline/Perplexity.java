package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.function.IntConsumer;

/**
 * Passes the windows of a text through a model and scores them; the perplexity is {@code
 * exp(−(1/n)·Σ ln p(token | tokens before it in its window))} over the n predicted tokens.
 *
 * <p>Every window stands alone: positions start at 0 and nothing is put in front. Safe for
 * concurrent use if the logits functions are.
 */
final class Perplexity {

    private final NDManager manager;
    private final WindowLogits logits;
    private final WindowLogits reference;
    private final int batch;

    /**
     * Creates the measure for a model.
     *
     * @param manager the parent of the arrays that a batch of windows needs
     * @param logits the model's logits
     * @param reference the logits to compare with, or null
     * @param batch the windows that pass through a model together, positive
     */
    Perplexity(NDManager manager, WindowLogits logits, WindowLogits reference, int batch) {
        if (batch < 1) {
            throw new IllegalArgumentException("the batch is " + batch + ", but must be positive");
        }
        this.manager = manager;
        this.logits = logits;
        this.reference = reference;
        this.batch = batch;
    }

    /**
     * Scores windows.
     *
     * @param windows the windows
     * @param onWindow takes the number of windows done, after each batch
     * @return the scores of all predicted tokens
     * @throws IllegalStateException if a token's likelihood is not finite
     */
    TextScore of(TokenWindows windows, IntConsumer onWindow) {
        TextScore score = new TextScore();
        for (int first = 0; first < windows.count(); ) {
            int size = windows.batch(first, batch);
            try (NDManager scope = manager.newSubManager()) {
                NDArray ids = ids(windows, first, size, scope);
                NDArray others = reference == null ? null : reference.of(ids, first);
                NDArray own = logits.of(ids, first);
                for (int i = 0; i < size; i++) {
                    score.add(
                            windows.window(first + i),
                            windows.firstPredicted(first + i),
                            own.get(scope, i),
                            others == null ? null : others.get(scope, i));
                }
            }
            first += size;
            onWindow.accept(first);
        }
        return score;
    }

    /** Returns neighbouring windows of one length as {@code [size][tokens]}. */
    static NDArray ids(TokenWindows windows, int first, int size, NDManager manager) {
        int tokens = windows.window(first).length;
        long[] ids = new long[size * tokens];
        for (int i = 0; i < size; i++) {
            System.arraycopy(windows.window(first + i), 0, ids, i * tokens, tokens);
        }
        return manager.create(ids, new Shape(size, tokens));
    }
}
