package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.calibration.InputFactors;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.Block;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * Second moments {@code H = E[xxᵀ]} of the inputs of Linear blocks in the basis in which their
 * weights are coded, one for all blocks that share an input, and the covariance J of what coding
 * the inputs loses, if that is asked for.
 *
 * <p>Sums are float32 products of the host engine. Over T tokens an entry is off by at most about
 * {@code T·2⁻²⁴·sqrt(H_ii·H_jj)} in whatever order it is summed (Cauchy-Schwarz), 0.001 of it for
 * 16 windows of 1024 tokens: below the usual damping of 0.01. Belongs to one layer; closing it
 * frees the sums. Not safe for concurrent use.
 */
final class InputHessians implements InputObserver, AutoCloseable {

    private static final int[] ACROSS = {1};

    /** Keeps a token of zeros from being divided by zero. */
    private static final float LEAST_NORM = 1e-12f;

    private final QuantizationConfig quantization;
    private final SimulatedCode simulated;
    private final NDManager manager;
    private final Map<Block, Moments> moments = new IdentityHashMap<>();
    private Moments factored;
    private InputFactors factors;

    /**
     * Begins with nothing observed.
     *
     * @param quantization says what becomes of inputs
     * @param parent the parent of the sums' memory
     */
    InputHessians(QuantizationConfig quantization, NDManager parent) {
        this.quantization = quantization;
        simulated = SimulatedCode.of(quantization);
        manager = parent.newSubManager();
    }

    @Override
    public void add(NDArray x, Block... readers) {
        int channels = Math.toIntExact(x.getShape().getLastDimension());
        Moments sums = moments.computeIfAbsent(readers[0], b -> new Moments(channels));
        for (Block reader : readers) {
            moments.put(reader, sums);
        }
        sums.add(x);
    }

    /**
     * Returns what rounding a weight needs to know about its inputs.
     *
     * @param name the weight's name, for error messages
     * @param reader a block that has run
     * @throws IllegalArgumentException if its Hessian does not factor
     */
    InputFactors factors(String name, Block reader) {
        Moments sums = moments.get(reader);
        if (sums == null) {
            throw new IllegalStateException("no input of " + name + " has been observed");
        }
        if (sums != factored) { // readers of one input follow each other
            factors = null;
            factors = sums.factors(name);
            factored = sums;
        }
        return factors;
    }

    @Override
    public void close() {
        manager.close();
    }

    private final class Moments {

        private final int channels;
        private final Rotation rotation;
        private final NDArray hessian;
        private NDArray noise;
        private long tokens;

        Moments(int channels) {
            this.channels = channels;
            rotation = quantization.rotates() ? quantization.rotation(channels) : null;
            hessian = zeros(channels);
            if (quantization.expectsNoise()) {
                noise = zeros(rotation == null ? channels : rotation.paddedLength());
            }
        }

        private NDArray zeros(int size) {
            return manager.zeros(new Shape(size, size), DataType.FLOAT32);
        }

        void add(NDArray x) {
            int count = Math.toIntExact(x.size() / channels);
            try (NDManager scope = manager.newSubManager()) {
                NDArray rows = x.reshape(count, channels);
                rows.attach(scope);
                if (quantization.hessian() == QuantizationConfig.Hessian.NORMALIZED) {
                    NDArray norms = rows.norm(ACROSS, true).addi(LEAST_NORM);
                    norms.attach(scope);
                    rows = rows.div(norms);
                    rows.attach(scope);
                }
                addProduct(hessian, rows, scope);
                if (noise != null) {
                    addNoise(rows.toFloatArray(), count, scope);
                }
            }
            tokens += count;
        }

        private void addNoise(float[] exact, int count, NDManager scope) {
            float[] rows = rotation == null ? exact : rotation.padAndApply(exact, count);
            float[] coded =
                    ActivationCode.decoded(rows, count, quantization.activationBits(), simulated);
            for (int i = 0; i < rows.length; i++) {
                rows[i] = coded[i] - rows[i];
            }
            addProduct(noise, scope.create(rows, new Shape(count, rows.length / count)), scope);
        }

        private static void addProduct(NDArray sum, NDArray rows, NDManager scope) {
            NDArray product = rows.transpose().matMul(rows);
            product.attach(scope);
            sum.addi(product);
        }

        InputFactors factors(String name) {
            int rotated = rotation == null ? channels : rotation.paddedLength();
            float[] h = mean(hessian);
            if (rotation != null) { // R·H·Rᵀ is far cheaper than rotating every token
                h = rotation.padAndApply(h, channels);
                h = rotation.padAndApply(transposed(h, channels, rotated), rotated);
            }
            int width = simulated == null ? rotated : SimulatedCode.padded(rotated);
            return InputFactors.of(
                    name,
                    square(h, rotated, width),
                    noise == null ? null : square(mean(noise), rotated, width),
                    quantization.damping(),
                    simulated == null ? 8 : simulated.pieceWidth());
        }

        private float[] mean(NDArray sum) {
            float[] mean = sum.toFloatArray();
            for (int i = 0; i < mean.length; i++) {
                mean[i] /= tokens;
            }
            return mean;
        }
    }

    private static float[] transposed(float[] a, int rows, int columns) {
        float[] transposed = new float[a.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                transposed[j * rows + i] = a[i * columns + j];
            }
        }
        return transposed;
    }

    /** Pads a matrix of size x size with zeros to one of width x width. */
    private static float[] square(float[] matrix, int size, int width) {
        return size == width
                ? matrix
                : Arrays.copyOf(SimulatedCode.pad(matrix, size, width), width * width);
    }
}
