package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nestquant.codec.DistortionStats;
import java.util.Map;

/** A coded weight in the host engine's memory, freed with the manager it was allocated in. */
sealed interface CodedArrays permits PackedArrays, Int8Arrays {

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

    /** Returns the product with the weight. */
    CodedProduct product();

    /**
     * Encodes rows; several threads may encode different ones.
     *
     * @param first the first row's number
     * @param rotated {@code [rows][columns]}
     * @param stats receives how far the decoded rows are off
     */
    void encode(int first, float[] rotated, DistortionStats stats);
}
