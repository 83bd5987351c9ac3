package ai.djl.nestquant.pipeline;

import java.util.Arrays;

/**
 * Consecutive windows of a tokenised text, without overlap: {@code [0, c), [c, 2c), …}, c the
 * context length; the last one may be shorter but has at least 2 tokens.
 *
 * <p>Immutable and safe for concurrent use.
 */
public final class TokenWindows {

    /** One token to predict and one to predict it from. */
    private static final int MIN_WINDOW = 2;

    private final long[] ids;
    private final int context;
    private final int count;

    /**
     * Cuts a text into windows.
     *
     * @param ids the tokens
     * @param context the tokens of a window, at least 2
     * @param limit the number of windows to keep, from the first; 0 for all
     * @throws IllegalArgumentException if the text has less than 2 tokens, the context is shorter
     *     than that or the limit is negative
     */
    public TokenWindows(long[] ids, int context, int limit) {
        if (context < MIN_WINDOW) {
            throw new IllegalArgumentException(
                    "a window of " + context + " tokens predicts nothing; take 2 or more");
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
        int all = ids.length / context + (ids.length % context >= MIN_WINDOW ? 1 : 0);
        count = limit == 0 ? all : Math.min(limit, all);
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
     * Returns the number of tokens in all windows.
     *
     * @return the number of tokens
     */
    public long tokens() {
        return Math.min(ids.length, (long) count * context);
    }

    /**
     * Returns a window.
     *
     * @param index its number, from 0
     * @return its tokens
     */
    public long[] window(int index) {
        int from = Math.multiplyExact(index, context);
        return Arrays.copyOfRange(ids, from, (int) Math.min(ids.length, (long) from + context));
    }
}
