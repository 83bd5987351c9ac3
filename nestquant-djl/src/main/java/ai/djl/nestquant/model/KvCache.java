package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.kernels.LayerKernel;

/**
 * The keys and values of the tokens seen so far, for every layer of a model.
 *
 * <p>A cache belongs to one sequence (or one batch of sequences) and one thread at a time; closing
 * it frees its native memory. Made by {@link CausalLm#newCache}.
 */
public abstract class KvCache implements AutoCloseable {

    private final int maxTokens;
    private int length;

    KvCache(int maxTokens) {
        this.maxTokens = maxTokens;
    }

    /**
     * Returns the number of tokens held.
     *
     * @return the number of tokens held
     */
    public final int length() {
        return length;
    }

    /**
     * Returns the most tokens this cache may hold.
     *
     * @return the most tokens this cache may hold
     */
    public final int maxTokens() {
        return maxTokens;
    }

    /**
     * Returns the bytes of native memory allocated for keys and values.
     *
     * @return the bytes allocated
     */
    public abstract long bytes();

    /** Forgets all tokens; the memory stays allocated for the next sequence. */
    public void reset() {
        length = 0;
    }

    /**
     * Returns an independent copy, so that one prompt can be continued in several ways.
     *
     * @param manager the parent of the copy's memory
     * @return the copy; to be closed by the caller
     */
    public final KvCache fork(NDManager manager) {
        KvCache copy = copy(manager);
        copy.length = length;
        return copy;
    }

    abstract KvCache copy(NDManager manager);

    /** Checks that {@code tokens} more fit; called once for a pass, before any layer appends. */
    final void reserve(int tokens) {
        if (length + (long) tokens > maxTokens) {
            throw new IllegalStateException(
                    String.format(
                            "the KV cache holds %d tokens and %d more exceed its maximum of %d;"
                                    + " shorten the prompt or generate fewer tokens",
                            length, tokens, maxTokens));
        }
    }

    /**
     * Appends one layer's keys and values and returns all of that layer's.
     *
     * @param layer the layer
     * @param k new keys {@code [batch][kvHeads][tokens][headSize]}
     * @param v new values, same shape
     * @return keys and values of all tokens, attached to the manager of {@code k}
     */
    abstract NDList append(int layer, NDArray k, NDArray v);

    /**
     * Makes room for a pass and returns where one layer's keys and values are.
     *
     * @param layer the layer
     * @param tokens new tokens
     * @param kvHeads key-value heads of one sequence
     * @param size entries of a head vector as it is held
     */
    abstract LayerKernel.Cache room(int layer, int tokens, int kvHeads, int size);

    /** Counts tokens as held once every layer has appended them. */
    void advance(int tokens) {
        length += tokens;
    }

    /** Throws unless all calls bring the same number of sequences. */
    static void checkBatch(long held, long given) {
        if (held != given) {
            throw new IllegalStateException(
                    "the KV cache holds a batch of " + held + " sequences and was given " + given);
        }
    }

    /** Frees the memory. */
    @Override
    public abstract void close();
}
