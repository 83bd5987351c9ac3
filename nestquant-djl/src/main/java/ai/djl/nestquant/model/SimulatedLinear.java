package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.calibration.InputFactors;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/**
 * A Linear block {@code y = (Rx)(WRᵀ)ᵀ + b} with the rotation of {@link NestQuantLinear}, or none
 * where there is to be none, whose weight rows and 4-bit inputs went through {@link SimulatedCode}:
 * what {@link NestQuantLinear} is compared with, not a product.
 *
 * <p>Input {@code [..., inFeatures]}, output {@code [..., outFeatures]}. The decoded weight is a
 * float array {@code [outFeatures][padded inFeatures]} and counted as one by {@link WeightSummary}.
 * Stateless after construction and therefore safe for concurrent use.
 */
final class SimulatedLinear extends AbstractBlock {

    private final SimulatedCode code;
    private final int inFeatures;

    /** Null for none, which pads nothing. */
    private final Rotation rotation;

    private final int activationBits;
    private final Parameter weight;
    private final Parameter bias;
    private final DistortionStats distortion;

    @SuppressWarnings("this-escape")
    private SimulatedLinear(
            SimulatedCode code,
            int inFeatures,
            Rotation rotation,
            int activationBits,
            NDArray decoded,
            DistortionStats distortion,
            NDArray biasArray) {
        this.code = code;
        this.distortion = distortion;
        this.inFeatures = inFeatures;
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
     * @param config has the code, on which weights and 4-bit inputs are put
     * @param factors of the inputs, or null for plain rounding
     * @param manager owns the decoded weight
     * @return the block
     * @throws IllegalArgumentException if a weight is NaN or infinite
     */
    static SimulatedLinear encode(
            String name,
            Linear linear,
            QuantizationConfig config,
            InputFactors factors,
            NDManager manager) {
        SimulatedCode code = SimulatedCode.of(config);
        NDArray exact = linear.getParameters().get("weight").getArray();
        int rows = Math.toIntExact(exact.getShape().get(0));
        int columns = Math.toIntExact(exact.getShape().get(1));
        Rotation rotation = config.rotates() ? config.rotation(columns) : null;
        float[] rotated = rotated(exact, rotation, rows);
        DistortionStats distortion;
        try {
            distortion =
                    factors == null
                            ? code.apply(rotated, rows)
                            : code.applyWithFeedback(rotated, rows, factors);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "cannot quantize " + name + ".weight: " + e.getMessage(), e);
        }
        NDArray bias = null;
        if (linear.getParameters().contains("bias")) {
            bias = linear.getParameters().get("bias").getArray().duplicate();
            bias.attach(manager);
        }
        NDArray decoded = manager.create(rotated, new Shape(rows, rotated.length / rows));
        return new SimulatedLinear(
                code, columns, rotation, config.activationBits(), decoded, distortion, bias);
    }

    private static float[] rotated(NDArray x, Rotation rotation, int rows) {
        float[] entries = x.toFloatArray();
        return rotation == null ? entries : rotation.padAndApply(entries, rows);
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
        int tokens = Math.toIntExact(shape.size() / inFeatures);
        float[] coded =
                ActivationCode.decoded(rotated(x, rotation, tokens), tokens, activationBits, code);
        Shape padded = shape.slice(0, shape.dimension() - 1).add(coded.length / tokens);
        NDArray array = x.getManager().create(coded, padded);
        NDArray decoded = store.getValue(weight, x.getDevice(), false);
        return bias == null
                ? Linear.linear(array, decoded)
                : Linear.linear(array, decoded, store.getValue(bias, x.getDevice(), false));
    }

    /** Describes the weight as it would be stored. */
    CodedLayer describe(String name) {
        long outFeatures = weight.getArray().getShape().get(0);
        int columns = Math.toIntExact(weight.getArray().getShape().get(1));
        double bits = code.bitsPerEntry(columns) * columns / inFeatures;
        return new CodedLayer(
                name, outFeatures * inFeatures, bits, distortion.relativeError(), true);
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        long outFeatures = weight.getArray().getShape().get(0);
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(outFeatures)};
    }
}
