package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.FloatBuffer;

/**
 * Products with a coded matrix W of R rows and C columns: {@code W[r][c] = scale(r)·q[r][c]}, q the
 * int8 rows of {@link PackedMatrix#decodeRow} or {@link Int8Matrix#decodeRow}.
 *
 * <p>Results do not depend on the number of threads. Implementations are thread-safe; calls that
 * overlap take turns on the worker threads, or run on their caller's.
 */
public interface Kernels {
    /** Upper limit of {@link #threads}, a guard against slips. */
    int MAX_THREADS = 256;

    /**
     * Returns the fastest kernels that this machine can run, shared by all callers.
     *
     * @return the shared kernels, on as many threads as there are processors until told otherwise
     */
    static Kernels best() {
        return PortableKernels.Shared.KERNELS;
    }

    /** Returns the name under which benchmarks and the command line report these kernels. */
    String name();

    /** Returns the number of threads that share a product, the caller's included. */
    int threads();

    /**
     * Sets the number of threads that share a product, the caller's included.
     *
     * @param threads 1 to {@link #MAX_THREADS}
     * @throws IllegalArgumentException if the number is out of range
     */
    void setThreads(int threads);

    /**
     * Multiplies by a vector, {@code y[r] = scale(r)·Σ_c q[r][c]·x[c]}, with an error of at most
     * {@code 2^−24·max|x|·scale(r)·Σ_c |q[r][c]|} before y is rounded to float.
     *
     * @param w the matrix [R][C]
     * @param x float [C], already rotated as the matrix is; finite
     * @param y receives float [R]
     * @throws IllegalArgumentException if a length does not fit or x has an entry that is not
     *     finite
     */
    void multiply(PackedMatrix w, float[] x, float[] y);

    /**
     * Decodes rows to floats, {@code panel[r − from][c] = scale(r)·q[r][c]}, each the float
     * product.
     *
     * @param w the matrix [R][C]
     * @param from the first row
     * @param to the row after the last
     * @param panel receives float [to − from][C] from its position on, which stays
     * @throws IllegalArgumentException if the rows are not in the matrix or the panel is too short
     */
    void decodeRows(PackedMatrix w, int from, int to, FloatBuffer panel);

    /**
     * Decodes rows to a float array, as {@link #decodeRows(PackedMatrix, int, int, FloatBuffer)}.
     *
     * @param w the matrix [R][C]
     * @param from the first row
     * @param to the row after the last
     * @param panel receives float [to − from][C]
     * @throws IllegalArgumentException if the rows are not in the matrix or the panel is too short
     */
    default void decodeRows(PackedMatrix w, int from, int to, float[] panel) {
        decodeRows(w, from, to, FloatBuffer.wrap(panel));
    }

    /**
     * Multiplies by a vector, {@code y[r] = scale(r)·Σ_c q[r][c]·x[c]}, with an error of at most
     * {@code 2^−19·max|x|·scale(r)·Σ_c |q[r][c]|} before y is rounded to float: what int8 has lost
     * is a thousand times as much.
     *
     * @param w the matrix [R][C]
     * @param x float [C], already rotated as the matrix is; finite
     * @param y receives float [R]
     * @throws IllegalArgumentException if a length does not fit or x has an entry that is not
     *     finite
     */
    void multiply(Int8Matrix w, float[] x, float[] y);

    /**
     * Decodes rows to floats, {@code panel[r − from][c] = scale(r)·q[r][c]}, each the float
     * product.
     *
     * @param w the matrix [R][C]
     * @param from the first row
     * @param to the row after the last
     * @param panel receives float [to − from][C] from its position on, which stays
     * @throws IllegalArgumentException if the rows are not in the matrix or the panel is too short
     */
    void decodeRows(Int8Matrix w, int from, int to, FloatBuffer panel);
}
