package ai.djl.nestquant.engine;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.util.Arrays;

/**
 * Turns tokens into text as they come, giving out complete characters only.
 *
 * <p>A character may be spread over several tokens, and a token's text may depend on the tokens
 * before it. So a window of the last tokens is decoded anew for each token, and what is new in its
 * text is given out, except replacement characters (U+FFFD) at its end, which stand for a character
 * whose bytes are not complete. The pieces and {@link #flush} together are the text of all tokens,
 * without special tokens, less the text of the context. Where a tokenizer decodes a whole run of
 * byte tokens at once and such a run ends in invalid UTF-8, valid characters already given out stay
 * as they are.
 *
 * <p>Belongs to one sequence; not safe for concurrent use.
 */
public final class TextDecoder {

    private static final char INCOMPLETE = '\uFFFD';

    /** More unfinished tokens than a character has bytes: then they are no character at all. */
    private static final int MAX_UNFINISHED_TOKENS = 8;

    private final HuggingFaceTokenizer tokenizer;
    private long[] ids;
    private int size;

    // The window starts at a character boundary one step before the last one known, because some
    // tokenizers drop a space in front of the first token they decode.
    private int windowStart;
    private int boundary;
    private int emitted;

    /**
     * Creates a decoder.
     *
     * @param tokenizer the tokenizer; must stay open
     * @param context the tokens in front, whose text is not given out; may be empty
     */
    public TextDecoder(HuggingFaceTokenizer tokenizer, long... context) {
        this.tokenizer = tokenizer;
        ids = Arrays.copyOf(context, context.length + 64);
        size = context.length;
        boundary = size;
        emitted = decode(0, size).length();
    }

    /**
     * Adds a token.
     *
     * @param id the token
     * @return the text that it completes; may be empty
     */
    public String accept(long id) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
        }
        ids[size++] = id;
        String window = decode(windowStart, size);
        int complete = window.length();
        while (complete > emitted && window.charAt(complete - 1) == INCOMPLETE) {
            complete--;
        }
        if (complete < window.length() && size - boundary > MAX_UNFINISHED_TOKENS) {
            complete = window.length() - 1; // the last one may still become a character
        }
        String piece = complete > emitted ? window.substring(emitted, complete) : "";
        emitted = Math.max(emitted, complete);
        if (emitted == window.length()) {
            moveWindow();
        }
        return piece;
    }

    private void moveWindow() {
        int length = decode(boundary, size).length();
        if (length > 0) { // a window without text could still lose the space of what follows
            windowStart = boundary;
            boundary = size;
            emitted = length;
        }
    }

    /**
     * Returns what is left at the end of the sequence: a character that was never completed, as
     * replacement characters.
     *
     * @return the rest of the text; usually empty
     */
    public String flush() {
        String window = decode(windowStart, size);
        String rest = window.substring(Math.min(emitted, window.length()));
        emitted = window.length();
        return rest;
    }

    private String decode(int from, int to) {
        return from == to ? "" : tokenizer.decode(Arrays.copyOfRange(ids, from, to), true);
    }
}
