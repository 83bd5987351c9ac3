package ai.djl.nestquant.kernels;

import java.nio.FloatBuffer;

/**
 * Final norm and output head as one call, for one token.
 *
 * <p>Coding and product are to the bit those of {@link ai.djl.nestquant.codec.Int8Rows#round},
 * {@link Kernels#encodeIntegers} and {@link Kernels#multiply}; the norm, and rotations that are no
 * power of two, sum floats in an order of their own. Thread-safe, but for {@link #close}, during
 * which no call may run.
 */
public interface HeadKernel extends AutoCloseable {
    /**
     * Computes logits.
     *
     * @param h the last layer's output [hidden], direct
     * @param logits receives [vocabulary] from its position on, direct
     * @throws IllegalArgumentException if a buffer is too short or not direct, or an entry that is
     *     to be coded is not a number
     */
    void run(FloatBuffer h, FloatBuffer logits);

    /** Frees what the head owns; its buffers are not among that. */
    @Override
    void close();
}
