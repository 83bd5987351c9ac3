package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * Products with a coded matrix W of R rows and C columns: {@code W[r][c] = scale(r)·q[r][c]}, q the
 * int8 rows of {@link CodedMatrix#decodeRow}.
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
        return StageClock.timed(KernelChoice.Shared.KERNELS);
    }

    /** Returns the name under which benchmarks and the command line report these kernels. */
    String name();

    /** Returns the number of threads that share a product, the caller's included. */
    int threads();

    /**
     * Makes a decoder layer that runs in one call.
     *
     * @param spec its parts
     * @return the layer, to be closed by the caller; null where these kernels have none
     */
    default LayerKernel layer(LayerSpec spec) {
        return null;
    }

    /**
     * Runs new tokens of one sequence through layers that {@link #layer} has made, in turn; fast
     * kernels do so in one call.
     *
     * @param layers the layers
     * @param pass the tokens; their hidden states are replaced by the last layer's output
     * @param caches each layer's cache
     * @throws IllegalArgumentException as {@link LayerKernel#run}
     */
    default void run(
            List<LayerKernel> layers, LayerKernel.Tokens pass, List<LayerKernel.Cache> caches) {
        for (int i = 0; i < layers.size(); i++) {
            layers.get(i).run(pass, caches.get(i));
        }
    }

    /**
     * Makes final norm and output head that run in one call.
     *
     * @param spec their parts
     * @return the head, to be closed by the caller; null where these kernels have none
     * @throws IllegalArgumentException if the parts' sizes do not fit
     */
    default HeadKernel head(HeadSpec spec) {
        return null;
    }

    /**
     * Makes an embedding that looks up rows in one call.
     *
     * @param w the rows of the vocabulary, rotated
     * @param rotation what they have been rotated by
     * @return the embedding, to be closed by the caller; null where these kernels have none
     * @throws IllegalArgumentException if their sizes do not fit
     */
    default EmbeddingKernel embedding(CodedMatrix w, Rotation rotation) {
        return null;
    }

    /**
     * Runs new tokens of one sequence through all layers as {@link #run(List, LayerKernel.Tokens,
     * List)} does, and the last token through the head; fast kernels do so in one call.
     *
     * @param layers the layers
     * @param pass the tokens; their hidden states are replaced by the last layer's output
     * @param caches each layer's cache
     * @param head what {@link #head} has made
     * @param logits receives the last token's [vocabulary], direct
     * @throws IllegalArgumentException as {@link LayerKernel#run} and {@link HeadKernel#run}
     */
    default void run(
            List<LayerKernel> layers,
            LayerKernel.Tokens pass,
            List<LayerKernel.Cache> caches,
            HeadKernel head,
            FloatBuffer logits) {
        run(layers, pass, caches);
        FloatBuffer h = pass.h().slice();
        int hidden = h.remaining() / pass.count();
        head.run(h.slice(h.remaining() - hidden, hidden), logits);
    }

    /**
     * Sets the number of threads that share a product, the caller's included.
     *
     * @param threads 1 to {@link #MAX_THREADS}
     * @throws IllegalArgumentException if the number is out of range
     */
    void setThreads(int threads);

    /**
     * Multiplies by the rows of x, {@code y[t][r] = scale(r)·scale(t)·Σ_c q[r][c]·x[t][c]}: an
     * exact sum of integers, times the product of both scales in double, rounded to float once.
     *
     * @param w the matrix [R][C]
     * @param x int8 or int16 rows [T][C], already rotated as the matrix is
     * @param y receives float [T][R]
     * @throws IllegalArgumentException if a length does not fit
     */
    void multiply(CodedMatrix w, Int8Rows x, float[] y);

    /**
     * Multiplies into a buffer, as {@link #multiply(CodedMatrix, Int8Rows, float[])}.
     *
     * @param w the matrix [R][C]
     * @param x int8 or int16 rows [T][C], already rotated as the matrix is
     * @param y receives float [T][R] from its position on, which stays
     * @throws IllegalArgumentException if a length does not fit
     */
    default void multiply(CodedMatrix w, Int8Rows x, FloatBuffer y) {
        float[] floats = new float[y.remaining()];
        multiply(w, x, floats);
        y.slice().put(floats);
    }

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
    void decodeRows(CodedMatrix w, int from, int to, FloatBuffer panel);

    /**
     * Decodes rows to a float array, as {@link #decodeRows(CodedMatrix, int, int, FloatBuffer)}.
     *
     * @param w the matrix [R][C]
     * @param from the first row
     * @param to the row after the last
     * @param panel receives float [to − from][C]
     * @throws IllegalArgumentException if the rows are not in the matrix or the panel is too short
     */
    default void decodeRows(CodedMatrix w, int from, int to, float[] panel) {
        decodeRows(w, from, to, FloatBuffer.wrap(panel));
    }

    /**
     * Rotates rows on the calling thread, bit for bit as {@link Rotation#applyRows}.
     *
     * @param rotation R
     * @param x float [rows][padded length]; each row x becomes R·x
     * @param rows their number
     * @return the largest norm of 8 neighbouring entries afterwards; NaN or infinite if an entry is
     *     NaN or infinite, or its square too large for a float
     * @throws IndexOutOfBoundsException if the rows do not lie inside x
     */
    default float rotateRows(Rotation rotation, float[] x, int rows) {
        rotation.applyRows(x, 0, rows);
        float largest = 0;
        for (int block = 0; block < rows * rotation.paddedLength(); block += PackedMatrix.BLOCK) {
            float norm = 0;
            for (int i = block; i < block + PackedMatrix.BLOCK; i++) {
                norm += x[i] * x[i];
            }
            largest = Math.max(largest, norm); // a NaN stays
        }
        return (float) Math.sqrt(largest);
    }

    /**
     * Encodes rows of a matrix on the calling thread, each at its best scale, leaving others as
     * they are. Calls for different tiles may overlap, those for rows of one tile must not.
     *
     * @param w the matrix [R][C]; its tensor scale from 1e-9 to 1e16
     * @param from the first row
     * @param to the row after the last
     * @param x holds the rows, float [to − from][C], already rotated
     * @param offset index of the first row's first entry
     * @param stats receives the distortion of the rows
     * @throws IllegalArgumentException if the rows are not in the matrix or x, or an entry is NaN
     *     or infinite, naming its position
     */
    void encodeRows(PackedMatrix w, int from, int to, float[] x, int offset, DistortionStats stats);

    /**
     * Reads tiles that a container has stored.
     *
     * @param codes whole tiles, as many as its words are
     * @param matrix receives them, whatever stood there
     * @param tile number of the first in the matrix
     * @throws IllegalArgumentException if the tiles are not whole, not in the matrix, or not in
     *     direct buffers
     */
    void readStored(StoredCodes codes, PackedMatrix matrix, int tile);

    /**
     * Encodes vectors that stand alone, such as the activations of tokens, as integers with a scale
     * each; see {@link ai.djl.nestquant.codec.RowEncoder#encodeIntegers}.
     *
     * @param code the code
     * @param x float [rows][C], already rotated
     * @param rows number of vectors
     * @return the integers and scales
     * @throws IllegalArgumentException if C is no multiple of 8, or an entry is NaN or infinite,
     *     naming its position
     */
    Int8Rows encodeIntegers(PackedCode code, float[] x, int rows);

    /**
     * Sums the 64-bit words of a buffer in native order, modulo 2^64, on all threads: the sum does
     * not matter, reading does, as fast as this machine can.
     *
     * @param memory direct; its bytes from 0 to its capacity, a multiple of 8, are read
     * @return the sum
     * @throws IllegalArgumentException if the buffer is not direct or holds a part of a word
     */
    long sumWords(ByteBuffer memory);

    /**
     * Puts memory that nothing has been written to on large pages, where the system has them: all
     * weights are read for every token, and looking up small pages would cost a tenth of the speed
     * of reading.
     *
     * @param memory direct; from 0 to its capacity
     * @throws IllegalArgumentException if the buffer is not direct
     */
    default void takeLargePages(ByteBuffer memory) {
        Checks.direct(memory);
    }

    /**
     * Fills memory that nothing has been written to with zeros, after {@link #takeLargePages}.
     *
     * @param memory direct; its bytes from 0 to its capacity are written
     * @throws IllegalArgumentException if the buffer is not direct
     */
    void clear(ByteBuffer memory);
}
