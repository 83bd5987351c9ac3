package ai.djl.nestquant.pipeline;

import java.util.Arrays;

/**
 * Windows of a tokenised text, {@code [0, c), [s, s + c), [2s, 2s + c), …}, c the context length
 * and s the stride; the last one ends with the text and may be shorter.
 *
 * <p>With s = c windows follow each other without overlap, and all tokens of a window but its first
 * are predicted. With s &lt; c a window predicts only what the one before it has not, so that every
 * token but the text's first is predicted once, most of them from c − s tokens or more. Immutable
 * and safe for concurrent use.
 */
public final class TokenWindows {

    /** One token to predict and one to predict it from. */
    private static final int MIN_WINDOW = 2;

    private final long[] ids;
    private final int context;
    private final int stride;
    private final int count;

    /**
     * Cuts a text into windows without overlap.
     *
     * @param ids the tokens
     * @param context the tokens of a window, at least 2
     * @param limit the number of windows to keep, from the first; 0 for all
     * @throws IllegalArgumentException if the text has less than 2 tokens, the context is shorter
     *     than that or the limit is negative
     */
    public TokenWindows(long[] ids, int context, int limit) {
        this(ids, context, context, limit);
    }

    /**
     * Cuts a text into windows.
     *
     * @param ids the tokens
     * @param context the tokens of a window, at least 2
     * @param stride the tokens from the start of a window to that of the next, in [1, context]
     * @param limit the number of windows to keep, from the first; 0 for all
     * @throws IllegalArgumentException if the text has less than 2 tokens, the context is shorter
     *     than that, the stride is outside its range or the limit is negative
     */
    public TokenWindows(long[] ids, int context, int stride, int limit) {
        if (context < MIN_WINDOW) {
            throw new IllegalArgumentException(
                    "a window of " + context + " tokens predicts nothing; take 2 or more");
        }
        if (stride < 1 || stride > context) {
            throw new IllegalArgumentException(
                    "the stride is "
                            + stride
                            + ", but must be between 1 and the context, "
                            + context);
        }
        if (limit < 0) {
            throw new IllegalArgumentException(
                    "the number of windows is " + limit + "; take 0 for all or more");
        }
        if (ids.length < MIN_WINDOW) {
            throw new IllegalArgumentException(
                    "the text has "
                            + ids.length
                            + " tokens, but at least 2 are needed to predict one");
        }
        this.ids = ids.clone();
        this.context = context;
        this.stride = stride;
        int all = count(ids.length);
        count = limit == 0 ? all : Math.min(limit, all);
    }

    /** Windows beyond the first are those that still predict something. */
    private int count(int tokens) {
        int overlap = Math.max(1, context - stride);
        return 1 + Math.max(0, tokens - overlap - 1) / stride;
    }

    private int endOf(long index, int tokens) {
        return (int) Math.min(tokens, index * stride + context);
    }

    /**
     * Returns the number of windows.
     *
     * @return the number of windows
     */
    public int count() {
        return count;
    }

    /**
     * Returns the number of tokens in all windows, those of an overlap counted once.
     *
     * @return the number of tokens
     */
    public long tokens() {
        return endOf(count - 1, ids.length);
    }

    /**
     * Returns a window.
     *
     * @param index its number, from 0
     * @return its tokens
     */
    public long[] window(int index) {
        int from = Math.multiplyExact(index, stride);
        return Arrays.copyOfRange(ids, from, endOf(index, ids.length));
    }

    /**
     * Returns where the predictions of a window begin.
     *
     * @param index its number, from 0
     * @return the position in the window of the first token that counts as predicted
     */
    public int firstPredicted(int index) {
        return index == 0 ? 1 : Math.max(1, context - stride);
    }

    /**
     * Returns how many windows from one on have the same length and can pass through a model
     * together.
     *
     * @param index the first window
     * @param most the most that are wanted, positive
     * @return their number, at least 1
     */
    int batch(int index, int most) {
        int length = endOf(index, ids.length) - index * stride;
        int size = 1;
        while (size < most
                && index + size < count
                && endOf(index + size, ids.length) - (index + size) * stride == length) {
            size++;
        }
        return size;
    }
}
