package ai.djl.nestquant.kernels;

import java.nio.Buffer;
import java.nio.FloatBuffer;

/**
 * A whole decoder layer as one call.
 *
 * <p>Products are to the bit those of {@link Kernels#multiply}; norms, attention and the gated unit
 * sum floats in an order of their own. Thread-safe, but for {@link #close}, during which no call
 * may run; passes over one cache must not overlap.
 */
public interface LayerKernel extends AutoCloseable {
    /**
     * Runs new tokens of one sequence through the layer and appends their keys and values.
     *
     * @param pass the tokens; their hidden states are replaced by the layer's output
     * @param cache the cache
     * @throws IllegalArgumentException if a buffer is too short or not direct, or an entry that is
     *     to be coded is not a number
     */
    void run(Tokens pass, Cache cache);

    /** Frees what the layer owns; its buffers are not among that. */
    @Override
    void close();

    /**
     * New tokens of a sequence.
     *
     * @param h hidden states [count][hidden], direct
     * @param count number of new tokens
     * @param past number of tokens in the cache before
     * @param cos cosines of the new tokens' positions, [count][headSize], direct
     * @param sin their sines
     */
    record Tokens(FloatBuffer h, int count, int past, FloatBuffer cos, FloatBuffer sin) {}

    /**
     * Where a layer's keys and values are.
     *
     * @param slots direct buffers: of floats [kvHeads][capacity][headSize], keys and values; or, on
     *     codes, for each segment words, betas and row scales of keys and then of values, each of
     *     {@code kvHeads · capacity} rows in the stored form of {@link
     *     ai.djl.nestquant.codec.StoredCodes}
     * @param capacity tokens that the float buffers or one segment hold
     */
    record Cache(Buffer[] slots, int capacity) {}
}
