package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.Pair;
import ai.djl.util.PairList;
import java.util.Arrays;

/** Small helpers shared by the blocks of this package. */
final class Blocks {

    private Blocks() {}

    /** Wraps an array that is already there as a parameter that is never trained. */
    static Parameter parameter(String name, Parameter.Type type, NDArray array) {
        array.setName(name);
        return Parameter.builder()
                .setName(name)
                .setType(type)
                .optArray(array)
                .optRequiresGrad(false)
                .build();
    }

    /**
     * Makes a DJL {@link Linear} of arrays that are already there.
     *
     * @param weight the weight, shape {@code [outFeatures][inFeatures]}
     * @param bias the bias, shape {@code [outFeatures]}, or null
     */
    static Linear linear(NDArray weight, NDArray bias) {
        Linear linear =
                Linear.builder().setUnits(weight.getShape().get(0)).optBias(bias != null).build();
        linear.getDirectParameters().get("weight").setArray(weight);
        if (bias != null) {
            linear.getDirectParameters().get("bias").setArray(bias);
        }
        return linear;
    }

    /** Returns a child's name as it was added; DJL puts a counter of two digits in front. */
    static String ownName(Pair<String, Block> child) {
        return child.getKey().replaceFirst("^\\d\\d", "");
    }

    /** Runs a block that has one input and one output, under the eyes of a calibration pass. */
    static NDArray apply(
            Block block, ParameterStore store, NDArray x, PairList<String, Object> params) {
        InputObserver.observe(x, params, block);
        return run(block, store, x, params);
    }

    private static NDArray run(
            Block block, ParameterStore store, NDArray x, PairList<String, Object> params) {
        return block.forward(store, new NDList(x), false, params).singletonOrThrow();
    }

    /** Runs several blocks on one input; packed ones rotate and code it only once. */
    static NDArray[] applyAll(
            ParameterStore store, NDArray x, PairList<String, Object> params, Block... blocks) {
        boolean packed = Arrays.stream(blocks).allMatch(NestQuantLinear.class::isInstance);
        Int8Rows coded = packed ? ((NestQuantLinear) blocks[0]).code(x) : null;
        InputObserver.observe(x, params, blocks);
        NDArray[] outputs = new NDArray[blocks.length];
        for (int i = 0; i < blocks.length; i++) {
            outputs[i] =
                    packed
                            ? ((NestQuantLinear) blocks[i]).multiply(store, x, coded)
                            : run(blocks[i], store, x, params);
        }
        return outputs;
    }
}
