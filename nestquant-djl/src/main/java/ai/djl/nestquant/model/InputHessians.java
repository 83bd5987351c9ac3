package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.calibration.InputFactors;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.Block;
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
        simulated = SimulatedCode.of(quantization.code());
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
        private final int columns;
        private final NDArray hessian;
        private final NDArray noise;
        private long tokens;

        Moments(int channels) {
            this.channels = channels;
            rotation = quantization.code().rotates() ? NestQuantLinear.rotation(channels) : null;
            int rotated = rotation == null ? channels : rotation.paddedLength();
            columns = simulated == null ? rotated : SimulatedCode.padded(rotated);
            Shape square = new Shape(columns, columns);
            hessian = manager.zeros(square, DataType.FLOAT32);
            noise = quantization.expectsNoise() ? manager.zeros(square, DataType.FLOAT32) : null;
        }

        void add(NDArray x) {
            int count = Math.toIntExact(x.size() / channels);
            float[] rows = x.toFloatArray();
            if (rotation != null) {
                rows = rotation.padAndApply(rows, count);
            }
            addProduct(hessian, rows, count);
            if (noise != null) {
                float[] coded =
                        ActivationCode.decoded(
                                rows, count, quantization.activationBits(), simulated);
                for (int i = 0; i < rows.length; i++) {
                    rows[i] = coded[i] - rows[i];
                }
                addProduct(noise, rows, count);
            }
            tokens += count;
        }

        private void addProduct(NDArray sum, float[] rows, int count) {
            try (NDManager scope = manager.newSubManager()) {
                NDArray x =
                        scope.create(
                                SimulatedCode.pad(rows, count, columns), new Shape(count, columns));
                sum.addi(x.transpose().matMul(x));
            }
        }

        InputFactors factors(String name) {
            return InputFactors.of(
                    name,
                    mean(hessian),
                    noise == null ? null : mean(noise),
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
}
