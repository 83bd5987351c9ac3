package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.kernels.Kernels;
import java.util.Map;

/** A coded weight in the host engine's memory, freed with the manager it was allocated in. */
sealed interface CodedArrays permits PackedArrays, Int8Arrays {

    /** Allocates zeros for codes, see {@link Kernels#clear}. */
    static NDArray zeros(NDManager manager, Shape shape, DataType type) {
        NDArray array = manager.create(shape, type);
        Kernels.best().clear(array.toByteBuffer(true));
        return array;
    }

    /** Allocates room for codes, see {@link Kernels#takeLargePages}; what is in it is anything. */
    static NDArray room(NDManager manager, Shape shape, DataType type) {
        NDArray array = manager.create(shape, type);
        Kernels.best().takeLargePages(array.toByteBuffer(true));
        return array;
    }

    /** Returns the codes, whose manager owns the memory. */
    NDArray words();

    /** Returns all arrays by the names of a block's parameters, the codes first. */
    Map<String, NDArray> named();

    /** Returns the number of rows. */
    int rows();

    /** Returns the bytes that are really allocated. */
    default long bytes() {
        return named().values().stream().mapToLong(WeightSummary::bytes).sum();
    }

    /** Returns the bytes that a container takes for them. */
    default long storedBytes() {
        return bytes();
    }

    /**
     * Decodes a row.
     *
     * @param row its number
     * @param out receives {@code [columns]}
     */
    void decodeRow(int row, float[] out);

    /** Decodes a row's integers to what they stand for. */
    static void scale(byte[] integers, float scale, float[] out) {
        for (int c = 0; c < integers.length; c++) {
            out[c] = scale * integers[c];
        }
    }

    /** Returns the product with the weight. */
    CodedProduct product();

    /**
     * Encodes rows; several threads may encode different ones.
     *
     * @param first the first row's number
     * @param rotated {@code [rows][columns]}
     * @param stats receives how far the decoded rows are off; null where nobody asks
     */
    void encode(int first, float[] rotated, DistortionStats stats);
}
