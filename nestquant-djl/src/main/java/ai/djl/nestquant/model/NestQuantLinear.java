package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * A Linear block {@code y = xWᵀ + b} whose weight exists only as packed lattice codes of its
 * rotated rows, {@code y = (Rx)(WRᵀ)ᵀ + b} (NestQuant paper, sections 3 and 4).
 *
 * <p>Input {@code [..., inFeatures]}, output {@code [..., outFeatures]}. The codes are int32 and
 * uint8 parameters in the host engine's memory, freed with the manager they were created in.
 * Stateless after construction and therefore safe for concurrent use.
 */
public final class NestQuantLinear extends AbstractBlock {

    /** Up to this many tokens the packed product is faster than decoding the whole weight. */
    private static final int STEP_TOKENS = 4;

    /** Floats of a decoded panel, 16 MB: bounds what prefill needs beside the codes. */
    private static final int PANEL_FLOATS = 4 << 20;

    private static final long ROTATION_SEED = 0x4e455354;

    private final int inFeatures;
    private final int outFeatures;
    private final Rotation rotation;
    private final int activationBits;
    private final PackedArrays codes;
    private final Parameter bias;
    private final DistortionStats distortion = new DistortionStats();

    @SuppressWarnings("this-escape")
    private NestQuantLinear(
            NDManager manager,
            Shape shape,
            float tensorScale,
            NDArray biasArray,
            int activationBits) {
        outFeatures = Math.toIntExact(shape.get(0));
        inFeatures = Math.toIntExact(shape.get(1));
        this.activationBits = activationBits;
        rotation = rotation(inFeatures);
        codes = PackedArrays.allocate(manager, outFeatures, rotation.paddedLength(), tensorScale);
        addParameter(Blocks.parameter("words", Parameter.Type.OTHER, codes.words()));
        addParameter(Blocks.parameter("betas", Parameter.Type.OTHER, codes.betas()));
        addParameter(Blocks.parameter("row_scales", Parameter.Type.OTHER, codes.rowScales()));
        bias =
                biasArray == null
                        ? null
                        : addParameter(Blocks.parameter("bias", Parameter.Type.BIAS, biasArray));
    }

    private static int tiles(int rows) {
        return (rows + PackedMatrix.TILE_ROWS - 1) / PackedMatrix.TILE_ROWS;
    }

    /** The rotation of the inputs of every block with as many of them. */
    static Rotation rotation(int inFeatures) {
        return Rotation.of(inFeatures, ROTATION_SEED);
    }

    /**
     * Encodes the weight of a Linear block.
     *
     * @param name the block's name, for error messages
     * @param linear the block, initialised; its bias, if any, is copied
     * @param activationBits bits of the input's entries: 4, 8, or 0 for float
     * @param manager owns the codes
     * @return the packed block
     * @throws IllegalArgumentException if a weight is NaN or infinite, naming its position
     */
    public static NestQuantLinear encode(
            String name, Linear linear, int activationBits, NDManager manager) {
        NDArray weight = linear.getParameters().get("weight").getArray();
        NDArray bias =
                linear.getParameters().contains("bias")
                        ? linear.getParameters().get("bias").getArray().duplicate()
                        : null;
        if (bias != null) {
            bias.attach(manager);
        }
        try {
            RotatedRows rows = new RotatedRows(weight);
            float tensorScale = PackedMatrixEncoder.tensorScale(rows.largestBlockNorm());
            NestQuantLinear packed =
                    new NestQuantLinear(
                            manager, weight.getShape(), tensorScale, bias, activationBits);
            packed.fill(rows);
            return packed;
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "cannot quantize " + name + ".weight: " + e.getMessage(), e);
        }
    }

    private void fill(RotatedRows rows) {
        PackedMatrixEncoder encoder = new PackedMatrixEncoder(codes.matrix());
        IntStream.range(0, codes.matrix().tiles())
                .parallel()
                .forEach(
                        tile -> {
                            DistortionStats stats = new DistortionStats();
                            encoder.encodeTile(tile, rows.tile(tile), 0, stats);
                            synchronized (distortion) {
                                distortion.merge(stats);
                            }
                        });
    }

    /** Rows of a float weight, rotated tile by tile so that no rotated copy of all is needed. */
    private static final class RotatedRows {

        private final FloatBuffer weight;
        private final int rows;
        private final int columns;
        private final Rotation rotation;

        RotatedRows(NDArray weight) {
            this.weight = weight.toByteBuffer(true).asFloatBuffer();
            rows = Math.toIntExact(weight.getShape().get(0));
            columns = Math.toIntExact(weight.getShape().get(1));
            rotation = rotation(columns);
        }

        float[] tile(int tile) {
            int first = tile * PackedMatrix.TILE_ROWS;
            int count = Math.min(PackedMatrix.TILE_ROWS, rows - first);
            float[] tileRows = new float[count * columns];
            weight.get(first * columns, tileRows);
            return rotation.padAndApply(tileRows, count);
        }

        float largestBlockNorm() {
            int padded = rotation.paddedLength();
            return (float)
                    IntStream.range(0, tiles(rows))
                            .parallel()
                            .mapToDouble(tile -> largestBlockNorm(tile(tile), padded))
                            .max()
                            .orElse(0);
        }

        private static float largestBlockNorm(float[] rows, int columns) {
            float largest = 0;
            for (int start = 0; start < rows.length; start += columns) {
                largest =
                        Math.max(
                                largest,
                                PackedMatrixEncoder.largestBlockNorm(rows, start, columns));
            }
            return largest;
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
    float[] code(NDArray x) {
        Shape shape = x.getShape();
        if (shape.getLastDimension() != inFeatures) {
            throw new IllegalArgumentException(
                    "the input's last axis has "
                            + shape.getLastDimension()
                            + " entries, the weight takes "
                            + inFeatures);
        }
        int tokens = Math.toIntExact(shape.size() / inFeatures);
        float[] rotated = rotation.padAndApply(x.toFloatArray(), tokens);
        ActivationCode.apply(rotated, tokens, activationBits);
        return rotated;
    }

    /**
     * Multiplies an input that has been rotated and coded.
     *
     * @param x the input itself, for its shape and manager
     * @param coded what {@link #code} made of it
     */
    NDArray multiply(ParameterStore store, NDArray x, float[] coded) {
        if (codes.words().isReleased()) {
            throw new IllegalStateException("the weights are freed: their model has been closed");
        }
        Shape shape = x.getShape();
        int tokens = Math.toIntExact(shape.size() / inFeatures);
        NDArray y =
                tokens <= STEP_TOKENS
                        ? step(x.getManager(), coded, tokens)
                        : prefill(x.getManager(), coded, tokens);
        y = y.reshape(shape.slice(0, shape.dimension() - 1).add(outFeatures));
        return bias == null ? y : y.addi(store.getValue(bias, x.getDevice(), false));
    }

    /** Multiplies straight from the codes. */
    private NDArray step(NDManager manager, float[] rotated, int tokens) {
        PackedMatrix matrix = codes.matrix();
        int columns = matrix.columns();
        float[] y = new float[tokens * outFeatures];
        float[] row = new float[outFeatures];
        for (int t = 0; t < tokens; t++) {
            float[] x = Arrays.copyOfRange(rotated, t * columns, (t + 1) * columns);
            Kernels.best().multiply(matrix, x, row);
            System.arraycopy(row, 0, y, t * outFeatures, outFeatures);
        }
        return manager.create(y, new Shape(tokens, outFeatures));
    }

    /** Decodes the weight panel by panel and lets the host engine multiply. */
    private NDArray prefill(NDManager manager, float[] rotated, int tokens) {
        PackedMatrix matrix = codes.matrix();
        int columns = matrix.columns();
        int panelRows = Math.max(1, Math.min(outFeatures, PANEL_FLOATS / columns));
        try (NDManager scope = manager.newSubManager()) {
            NDArray x = scope.create(rotated, new Shape(tokens, columns));
            NDArray panel = scope.create(new Shape(panelRows, columns), DataType.FLOAT32);
            FloatBuffer decoded = panel.toByteBuffer(true).asFloatBuffer();
            NDList parts = new NDList();
            for (int from = 0; from < outFeatures; from += panelRows) {
                int to = Math.min(outFeatures, from + panelRows);
                Kernels.best().decodeRows(matrix, from, to, decoded);
                NDArray weight = panel.get(new NDIndex().addSliceDim(0, to - from));
                parts.add(Linear.linear(x, weight).singletonOrThrow());
            }
            NDArray y = parts.size() == 1 ? parts.head() : NDArrays.concat(parts, -1);
            return scope.ret(y);
        }
    }

    /**
     * Returns how far the decoded rows are from the rotated float rows.
     *
     * @return the statistics of encoding
     */
    public DistortionStats distortion() {
        return distortion;
    }

    /** Counts the coded weights and the bytes that are really allocated for them. */
    WeightSummary codedWeights() {
        long weights = (long) outFeatures * inFeatures;
        return new WeightSummary(weights, weights, codes.bytes(), codes.bytes());
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(outFeatures)};
    }
}
