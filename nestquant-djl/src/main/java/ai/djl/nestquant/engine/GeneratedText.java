package ai.djl.nestquant.engine;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;

/**
 * A text in the making: an iterator over its pieces, and what is known about it so far.
 *
 * <p>Pieces are whole characters; together they are the text. From {@code predict} the text is
 * complete; from {@code streamingPredict} each call of {@link #hasNext} computes as many tokens as
 * the next piece needs. Closing it before its end cancels the rest and frees the KV cache. To be
 * used by one thread, except {@link #cancel}, which any thread may call.
 */
public final class GeneratedText implements Iterator<String>, AutoCloseable {

    private final Generation generation;
    private final StringBuilder text = new StringBuilder();
    private int given;

    GeneratedText(Generation generation) {
        this.generation = generation;
    }

    /**
     * Tells whether more text comes, computing tokens until that is known.
     *
     * @return true if {@link #next} has a piece
     */
    @Override
    public boolean hasNext() {
        while (given == text.length() && !generation.isFinished()) {
            text.append(generation.advance());
        }
        return given < text.length();
    }

    /**
     * Returns the next piece of text, one or more whole characters.
     *
     * @return the piece
     */
    @Override
    public String next() {
        if (!hasNext()) {
            throw new NoSuchElementException("the text is complete: " + finishReason());
        }
        String piece = text.substring(given);
        given = text.length();
        return piece;
    }

    /** Generates the rest without handing out pieces. */
    void complete() {
        while (!generation.isFinished()) {
            text.append(generation.advance());
        }
    }

    /** Stops generation before the next token; safe to call from any thread. */
    public void cancel() {
        generation.cancel();
    }

    /**
     * Returns the text so far, without the prompt.
     *
     * @return the text so far
     */
    public String text() {
        return text.toString();
    }

    /**
     * Returns the ids of the tokens so far, without the prompt's; an end token is included.
     *
     * @return the token ids
     */
    public List<Integer> tokenIds() {
        return generation.tokenIds();
    }

    /**
     * Returns the number of tokens of the prompt.
     *
     * @return the number of tokens of the prompt
     */
    public int promptTokens() {
        return generation.promptTokens();
    }

    /**
     * Returns why the text ended.
     *
     * @return the reason, or null while it has not ended
     */
    public FinishReason finishReason() {
        return generation.finishReason();
    }

    /**
     * Returns the speed at which the prompt was read.
     *
     * @return prompt tokens per second
     */
    public double prefillTokensPerSecond() {
        return generation.prefillTokensPerSecond();
    }

    /**
     * Returns the speed at which tokens after the first were generated.
     *
     * @return tokens per second, 0 before the second token
     */
    public double stepTokensPerSecond() {
        return generation.stepTokensPerSecond();
    }

    /** Cancels what is left and frees the KV cache. */
    @Override
    public void close() {
        generation.close();
    }

    /**
     * Returns the text so far.
     *
     * @return the text so far
     */
    @Override
    public String toString() {
        return text();
    }
}
