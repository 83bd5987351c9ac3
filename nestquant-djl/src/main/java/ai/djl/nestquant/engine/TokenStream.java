package ai.djl.nestquant.engine;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.util.List;

/**
 * The text of a growing sequence, cut off in front of the first stop string.
 *
 * <p>Gives out complete characters (see {@link TextDecoder}) and holds text back for as long as it
 * may be the beginning of a stop string. The pieces and {@link #flush} together are the text in
 * front of the first stop string, or the whole text. Belongs to one sequence; not safe for
 * concurrent use.
 */
public final class TokenStream {

    private final TextDecoder decoder;
    private final List<String> stopStrings;
    private String held = "";
    private boolean stopped;

    /**
     * Creates a stream.
     *
     * @param tokenizer the tokenizer; must stay open
     * @param stopStrings the strings that end the text, none of them empty; may be no strings
     * @param context the tokens in front, whose text is not given out
     */
    public TokenStream(HuggingFaceTokenizer tokenizer, List<String> stopStrings, long... context) {
        decoder = new TextDecoder(tokenizer, context);
        this.stopStrings = List.copyOf(stopStrings);
    }

    /**
     * Adds a token.
     *
     * @param id the token
     * @return the text that is certain now; may be empty
     * @throws IllegalStateException if a stop string has already ended the text
     */
    public String accept(long id) {
        if (stopped) {
            throw new IllegalStateException("a stop string has already ended the text");
        }
        return release(decoder.accept(id));
    }

    /**
     * Tells whether a stop string has ended the text.
     *
     * @return true if one has been found
     */
    public boolean isStopped() {
        return stopped;
    }

    /**
     * Returns what is held back, at the end of the sequence.
     *
     * @return the rest of the text; empty after a stop string
     */
    public String flush() {
        if (stopped) {
            return "";
        }
        String rest = release(decoder.flush()) + held;
        held = "";
        return rest;
    }

    private String release(String piece) {
        String text = held + piece;
        int end = firstStop(text);
        if (end >= 0) {
            stopped = true;
            held = "";
            return text.substring(0, end);
        }
        int certain = text.length() - longestStopPrefix(text);
        held = text.substring(certain);
        return text.substring(0, certain);
    }

    private int firstStop(String text) {
        int first = -1;
        for (String stop : stopStrings) {
            int at = text.indexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
            }
        }
        return first;
    }

    /** Returns the length of the longest end of the text that a stop string begins with. */
    private int longestStopPrefix(String text) {
        int longest = 0;
        for (String stop : stopStrings) {
            for (int n = Math.min(stop.length() - 1, text.length()); n > longest; n--) {
                if (text.endsWith(stop.substring(0, n))) {
                    longest = n;
                }
            }
        }
        return longest;
    }
}
