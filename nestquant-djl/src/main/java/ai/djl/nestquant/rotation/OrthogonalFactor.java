package ai.djl.nestquant.rotation;

/**
 * A square matrix F of small order with {@code F·Fᵀ = c·I}, one factor of the Kronecker product
 * that makes a {@link Rotation}.
 *
 * <p>Implementations are immutable. Every one of them is built from circulant cores of odd order p,
 * because a circulant is a sum of cyclic shifts and each shift is one long contiguous loop.
 */
interface OrthogonalFactor {

    /** Returns the number of rows. */
    int order();

    /** Returns the construction's name for reports. */
    String construction();

    /**
     * Replaces x by {@code (F ⊗ I_run)·x}, or by {@code (Fᵀ ⊗ I_run)·x} where transposed.
     *
     * @param x holds order·run entries from offset on
     * @param offset the first entry
     * @param run the entries that share a coordinate of F
     * @param transposed whether Fᵀ is meant
     * @param work scratch for at least order·run entries
     */
    void apply(float[] x, int offset, int run, boolean transposed, Workspace work);
}
