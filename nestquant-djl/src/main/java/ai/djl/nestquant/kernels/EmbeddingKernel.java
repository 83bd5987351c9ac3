package ai.djl.nestquant.kernels;

import java.nio.FloatBuffer;

/**
 * Rows of a coded and rotated vocabulary as one call, {@code Rᵀ·W[r]}.
 *
 * <p>To the bit those of {@link Kernels#decodeRows} and {@link
 * ai.djl.nestquant.rotation.Rotation#applyInverse}, but that rotations which are no power of two
 * sum floats in an order of their own. Thread-safe, but for {@link #close}, during which no call
 * may run.
 */
public interface EmbeddingKernel extends AutoCloseable {
    /**
     * Looks up rows.
     *
     * @param ids the rows' numbers
     * @param out receives [ids][hidden] from its position on, direct
     * @throws IllegalArgumentException if a number is not that of a row, or the buffer is too short
     *     or not direct
     */
    void embed(long[] ids, FloatBuffer out);

    /** Frees what the embedding owns; the matrix is not among that. */
    @Override
    void close();
}
