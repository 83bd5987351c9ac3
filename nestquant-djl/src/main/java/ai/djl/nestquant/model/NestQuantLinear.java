package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.calibration.InputFactors;
import ai.djl.nestquant.calibration.PackedLdlq;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.kernels.LayerSpec;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/**
 * A Linear block {@code y = xWᵀ + b} whose weight exists only as lattice codes, or int8 rows, of
 * its rotated rows, {@code y = (Rx)(WRᵀ)ᵀ + b} (NestQuant paper, sections 3 and 4); R is the
 * identity under {@code rotation=off}.
 *
 * <p>Input {@code [..., inFeatures]}, output {@code [..., outFeatures]}. The codes are int32 and
 * uint8 parameters in the host engine's memory, freed with the manager they were created in.
 * Stateless after construction and therefore safe for concurrent use.
 */
public final class NestQuantLinear extends AbstractBlock {

    private final int inFeatures;
    private final int outFeatures;
    private final Rotation rotation;
    private final int activationBits;
    private final CodedArrays codes;
    private final CodedProduct product;
    private final Parameter bias;
    private final DistortionStats distortion = new DistortionStats();

    @SuppressWarnings("this-escape")
    private NestQuantLinear(
            Rotation rotation, CodedArrays codes, NDArray biasArray, int activationBits) {
        this.rotation = rotation;
        inFeatures = rotation.length();
        outFeatures = codes.rows();
        this.activationBits = activationBits;
        this.codes = codes;
        product = codes.product();
        codes.named()
                .forEach(
                        (name, array) ->
                                addParameter(Blocks.parameter(name, Parameter.Type.OTHER, array)));
        bias =
                biasArray == null
                        ? null
                        : addParameter(Blocks.parameter("bias", Parameter.Type.BIAS, biasArray));
    }

    /**
     * Makes a block of codes that are there already.
     *
     * @param rotation what inputs go through
     * @param codes the codes
     * @param bias the bias, or null
     * @param activationBits bits of the input's entries: 4, 8, or 0 for 16, as good as float
     */
    static NestQuantLinear of(
            Rotation rotation, CodedArrays codes, NDArray bias, int activationBits) {
        return new NestQuantLinear(rotation, codes, bias, activationBits);
    }

    /**
     * Encodes the weight of a Linear block, or rounds it to int8 rows, the finer code for what
     * costs most on a lattice.
     *
     * @param name the block's name, which decides the bits, and for error messages
     * @param linear the block, initialised; its bias, if any, is copied
     * @param config bits of weights and inputs, code and rotation
     * @param factors of the inputs, or null for plain rounding
     * @param manager owns the codes
     * @return the coded block
     * @throws IllegalArgumentException if a weight is NaN or infinite, naming its position
     */
    static NestQuantLinear encode(
            String name,
            Linear linear,
            QuantizationConfig config,
            InputFactors factors,
            NDManager manager) {
        NDArray weight = linear.getParameters().get("weight").getArray();
        NDArray bias =
                linear.getParameters().contains("bias")
                        ? linear.getParameters().get("bias").getArray().duplicate()
                        : null;
        if (bias != null) {
            bias.attach(manager);
        }
        try {
            Rotation rotation = config.rotation(Math.toIntExact(weight.getShape().get(1)));
            RotatedRows rows = new RotatedRows(weight, rotation);
            int bits = config.weightBits(name);
            CodedArrays codes =
                    bits == Byte.SIZE
                            ? Int8Arrays.allocate(manager, rows.rows(), rows.paddedColumns())
                            : packed(config.weightCode(bits), rows, factors != null, manager);
            NestQuantLinear coded =
                    new NestQuantLinear(rotation, codes, bias, config.activationBits());
            coded.fill(rows, factors);
            return coded;
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "cannot quantize " + name + ".weight: " + e.getMessage(), e);
        }
    }

    private static PackedArrays packed(
            PackedCode code, RotatedRows rows, boolean feedback, NDManager manager) {
        float largest = rows.largestBlockNorm();
        float tensorScale =
                feedback
                        ? PackedLdlq.tensorScale(code, largest)
                        : PackedMatrixEncoder.tensorScale(code, largest);
        return PackedArrays.allocate(manager, code, rows.rows(), rows.paddedColumns(), tensorScale);
    }

    /** Returns the codes, {@code [outFeatures][padded inFeatures]}. */
    CodedArrays codes() {
        return codes;
    }

    private void fill(RotatedRows rows, InputFactors factors) {
        int tiles = (outFeatures + PackedMatrix.TILE_ROWS - 1) / PackedMatrix.TILE_ROWS;
        DistortionStats[] ofTiles = new DistortionStats[tiles];
        rows.forEachTile(
                (rotated, tile) -> {
                    ofTiles[tile] = new DistortionStats();
                    if (factors == null) {
                        codes.encode(tile * PackedMatrix.TILE_ROWS, rotated, ofTiles[tile]);
                        return;
                    }
                    float[] targets = rotated.clone();
                    factors.toTargets(targets, targets.length / rows.paddedColumns());
                    codes.encode(tile * PackedMatrix.TILE_ROWS, targets, new DistortionStats());
                    new PackedLdlq(((PackedArrays) codes).matrix(), factors)
                            .encodeTile(tile, rotated, targets, ofTiles[tile]);
                });
        for (DistortionStats ofTile : ofTiles) { // in order, so that sums are always the same
            distortion.merge(ofTile);
        }
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        NDArray x = inputs.singletonOrThrow();
        return new NDList(multiply(store, x, code(x)));
    }

    /**
     * Rotates the input and puts it on codes; other blocks with as many inputs can share the
     * result.
     *
     * @return {@code [tokens][padded inFeatures]}
     */
    Int8Rows code(NDArray x) {
        Shape shape = x.getShape();
        if (shape.getLastDimension() != inFeatures) {
            throw new IllegalArgumentException(
                    "the input's last axis has "
                            + shape.getLastDimension()
                            + " entries, the weight takes "
                            + inFeatures);
        }
        int tokens = Math.toIntExact(shape.size() / inFeatures);
        StageClock.enter(Stage.ROTATION);
        float[] rotated = rotation.padAndApply(x.toFloatArray(), tokens);
        StageClock.leave(Stage.ROTATION);
        StageClock.enter(Stage.ENCODING);
        Int8Rows coded = ActivationCode.code(rotated, tokens, activationBits());
        StageClock.leave(Stage.ENCODING);
        return coded;
    }

    /**
     * Multiplies an input that has been rotated and coded.
     *
     * @param x the input itself, for its shape and manager
     * @param coded what {@link #code} made of it
     */
    NDArray multiply(ParameterStore store, NDArray x, Int8Rows coded) {
        checkOpen();
        Shape shape = x.getShape();
        NDArray y = product.multiply(x.getManager(), coded);
        y = y.reshape(shape.slice(0, shape.dimension() - 1).add(outFeatures));
        return bias == null ? y : y.addi(store.getValue(bias, x.getDevice(), false));
    }

    /** Throws if the weights are freed. */
    void checkOpen() {
        if (codes.words().isReleased()) {
            throw new IllegalStateException("the weights are freed: their model has been closed");
        }
    }

    /** Returns the words, whose manager owns this block's memory. */
    NDArray words() {
        return codes.words();
    }

    /** Returns bits of the input's entries as they are multiplied: 4, 8 or 16. */
    int activationBits() {
        return activationBits == 0 ? 16 : activationBits;
    }

    /** Returns what inputs go through before they are coded. */
    Rotation rotation() {
        return rotation;
    }

    /** Returns weight and bias as a fused layer takes them, or null where it does not. */
    LayerSpec.Linear spec() {
        if (!(codes instanceof PackedArrays packed)) {
            return null;
        }
        return new LayerSpec.Linear(
                packed.matrix(),
                bias == null ? null : bias.getArray().toByteBuffer(true).asFloatBuffer());
    }

    /**
     * Returns how far the decoded rows are from the rotated float rows.
     *
     * @return the statistics of encoding
     */
    public DistortionStats distortion() {
        return distortion;
    }

    /** Describes the weight as it is stored. */
    CodedLayer describe(String name) {
        long weights = (long) outFeatures * inFeatures;
        return new CodedLayer(
                name,
                weights,
                (double) codes.storedBytes() * Byte.SIZE / weights,
                distortion.relativeError(),
                false);
    }

    /** Counts the coded weights, the bytes they are stored in and those really allocated. */
    WeightSummary codedWeights() {
        long weights = (long) outFeatures * inFeatures;
        return new WeightSummary(weights, weights, codes.storedBytes(), codes.bytes());
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(outFeatures)};
    }
}
