package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/**
 * A Linear block {@code y = (Rx)(WRᵀ)ᵀ + b} with the rotation of {@link NestQuantLinear}, whose
 * weight rows and 4-bit inputs went through {@link SimulatedCode}: what {@link NestQuantLinear} is
 * compared with, not a product.
 *
 * <p>Input {@code [..., inFeatures]}, output {@code [..., outFeatures]}. The decoded weight is a
 * float array {@code [outFeatures][padded inFeatures]} and counted as one by {@link WeightSummary}.
 * Stateless after construction and therefore safe for concurrent use.
 */
final class SimulatedLinear extends AbstractBlock {

    private static final int SIMULATED_BITS = 4;

    private final Rotation rotation;
    private final int activationBits;
    private final Parameter weight;
    private final Parameter bias;

    @SuppressWarnings("this-escape")
    private SimulatedLinear(
            Rotation rotation, int activationBits, NDArray decoded, NDArray biasArray) {
        this.rotation = rotation;
        this.activationBits = activationBits;
        weight = addParameter(Blocks.parameter("weight", Parameter.Type.WEIGHT, decoded));
        bias =
                biasArray == null
                        ? null
                        : addParameter(Blocks.parameter("bias", Parameter.Type.BIAS, biasArray));
    }

    /**
     * Rotates, codes and decodes the weight of a Linear block.
     *
     * @param name the block's name, for error messages
     * @param linear the block, initialised; its bias, if any, is copied
     * @param activationBits bits of the input's entries: 4 simulated, 8, or 0 for float
     * @param manager owns the decoded weight
     * @return the block
     * @throws IllegalArgumentException if a weight is NaN or infinite
     */
    static SimulatedLinear encode(
            String name, Linear linear, int activationBits, NDManager manager) {
        NDArray exact = linear.getParameters().get("weight").getArray();
        int rows = Math.toIntExact(exact.getShape().get(0));
        Rotation rotation = NestQuantLinear.rotation(Math.toIntExact(exact.getShape().get(1)));
        float[] rotated = rotation.padAndApply(exact.toFloatArray(), rows);
        try {
            SimulatedCode.apply(rotated, rows);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "cannot quantize " + name + ".weight: " + e.getMessage(), e);
        }
        NDArray bias = null;
        if (linear.getParameters().contains("bias")) {
            bias = linear.getParameters().get("bias").getArray().duplicate();
            bias.attach(manager);
        }
        NDArray decoded = manager.create(rotated, new Shape(rows, rotation.paddedLength()));
        return new SimulatedLinear(rotation, activationBits, decoded, bias);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        Shape shape = x.getShape();
        int tokens = Math.toIntExact(shape.size() / rotation.length());
        float[] coded = rotation.padAndApply(x.toFloatArray(), tokens);
        if (activationBits == SIMULATED_BITS) {
            SimulatedCode.apply(coded, tokens);
        } else if (activationBits != 0) {
            coded = ActivationCode.code(coded, tokens, activationBits).decode();
        }
        Shape padded = shape.slice(0, shape.dimension() - 1).add(rotation.paddedLength());
        NDArray array = x.getManager().create(coded, padded);
        NDArray decoded = store.getValue(weight, x.getDevice(), false);
        return bias == null
                ? Linear.linear(array, decoded)
                : Linear.linear(array, decoded, store.getValue(bias, x.getDevice(), false));
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        long outFeatures = weight.getArray().getShape().get(0);
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(outFeatures)};
    }
}
