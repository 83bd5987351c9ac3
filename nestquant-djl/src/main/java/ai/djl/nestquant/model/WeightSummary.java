package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;

/**
 * How many weights a block tree holds and what memory they take, read off the arrays themselves.
 *
 * <p>Only weights on the 4-bit code count as quantised: the int8 weights of embedding and head are
 * among the parameters and the bytes of all weights, but do not blur {@link #bitsPerWeight}.
 * Immutable and safe for concurrent use.
 *
 * @param parameters all weights, coded ones counted as the weights they stand for
 * @param quantizedParameters the weights that are held as lattice codes
 * @param quantizedBytes the bytes that a container takes for those codes, scales included
 * @param weightBytes the bytes of all weights in memory, coded or not, which is where codes take an
 *     eighth of a bit more than stored
 */
public record WeightSummary(
        long parameters, long quantizedParameters, long quantizedBytes, long weightBytes) {

    /**
     * Counts the weights of a block and everything below it.
     *
     * @param block the block
     * @return the counts
     */
    public static WeightSummary of(Block block) {
        WeightSummary sum = new WeightSummary(0, 0, 0, 0);
        for (Block child : block.getChildren().values()) {
            sum = sum.plus(of(child));
        }
        if (block instanceof CodedVocabulary vocabulary) {
            return sum.plus(vocabulary.weights());
        }
        if (block instanceof NestQuantLinear linear) {
            sum = sum.plus(linear.codedWeights());
        }
        for (Parameter parameter : block.getDirectParameters().values()) {
            if (parameter.getType() != Parameter.Type.OTHER) { // codes and rotations are OTHER
                NDArray array = parameter.getArray();
                sum = sum.plus(new WeightSummary(array.size(), 0, 0, bytes(array)));
            }
        }
        return sum;
    }

    static long bytes(NDArray array) {
        return array.size() * array.getDataType().getNumOfBytes();
    }

    private WeightSummary plus(WeightSummary other) {
        return new WeightSummary(
                parameters + other.parameters,
                quantizedParameters + other.quantizedParameters,
                quantizedBytes + other.quantizedBytes,
                weightBytes + other.weightBytes);
    }

    /**
     * Returns the bits that a lattice-coded weight is stored in; the bits of a float where none is
     * coded.
     *
     * @return bits per weight
     */
    public double bitsPerWeight() {
        return quantizedParameters == 0
                ? (double) Float.SIZE
                : (double) quantizedBytes * Byte.SIZE / quantizedParameters;
    }
}
