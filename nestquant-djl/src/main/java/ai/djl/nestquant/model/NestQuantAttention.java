package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Linear;
import java.nio.FloatBuffer;
import java.util.function.BiFunction;

/**
 * Attention over keys and values that live on lattice codes (NestQuant paper, section 4).
 *
 * <p>Queries and keys get the same rotation after RoPE, which leaves their products as they are and
 * makes the keys' blocks look Gaussian; without a rotation there is none here either. The rotation
 * of values is folded into the value and output projections where head size and padded head size
 * agree. Stateless after construction and therefore safe for concurrent use.
 */
public final class NestQuantAttention extends RotaryAttention {

    /** The name of the rotation among the parameters. */
    static final String ROTATION = "head_rotation";

    private final Parameter rotation;
    private final boolean plainOutput;
    private final SimulatedCode simulated;
    private final Rotation headRotation;

    @SuppressWarnings("this-escape")
    private NestQuantAttention(
            RotaryAttention source,
            NDArray rotationMatrix,
            QuantizationConfig quantization,
            BiFunction<String, Block, Block> transform) {
        super(
                source.config,
                source.layer,
                transform.apply("q_proj", source.query),
                transform.apply("k_proj", source.key),
                transform.apply("v_proj", source.value),
                transform.apply("o_proj", source.output),
                source.queryNorm,
                source.keyNorm);
        headRotation = quantization.headRotation(source.config.headSize());
        simulated = SimulatedCode.of(quantization);
        if (rotationMatrix == null) {
            plainOutput = true;
            rotation = null;
            return;
        }
        Shape shape = rotationMatrix.getShape();
        plainOutput = shape.get(0) == shape.get(1);
        rotation = addParameter(Blocks.parameter(ROTATION, Parameter.Type.OTHER, rotationMatrix));
    }

    /**
     * Replaces a float attention block.
     *
     * @param source the block, its projections still float; consumed
     * @param quantization has the lattice code, on which the cache puts keys and values, or the one
     *     to compare with, which is simulated before the cache
     * @param manager owns the rotation
     * @param transform what becomes of the projections
     * @return the block whose keys and values are coded
     */
    static NestQuantAttention replace(
            RotaryAttention source,
            QuantizationConfig quantization,
            NDManager manager,
            BiFunction<String, Block, Block> transform) {
        foldValues(source, quantization);
        NDArray matrix = matrix(source, quantization, manager);
        return new NestQuantAttention(source, matrix, quantization, transform);
    }

    /**
     * Folds the rotation of values into the projections of a float block, unless that has been
     * done: what o_proj reads is rotated afterwards.
     */
    static void foldValues(RotaryAttention source, QuantizationConfig quantization) {
        Rotation rotation = quantization.headRotation(source.config.headSize());
        boolean foldable = rotation.paddedLength() == rotation.length();
        if (quantization.rotates() && foldable && !source.valuesFolded) {
            foldIntoValues(rotation, source.value);
            foldIntoOutput(rotation, source.output);
            source.valuesFolded = true;
        }
    }

    /**
     * Keeps the projections as they are: those of values and outputs are rotated already.
     *
     * @param source the block with these projections; consumed
     * @param quantization has a lattice code
     * @param manager owns the rotation
     */
    static NestQuantAttention ofRotated(
            RotaryAttention source, QuantizationConfig quantization, NDManager manager) {
        NDArray matrix = matrix(source, quantization, manager);
        return new NestQuantAttention(
                source, matrix, quantization, (name, projection) -> projection);
    }

    /**
     * The rotation as a weight {@code [padded][headSize]}, or null where nothing is to be done: the
     * cache takes vectors of whole blocks only.
     */
    private static NDArray matrix(
            RotaryAttention source, QuantizationConfig quantization, NDManager manager) {
        Rotation rotation = quantization.headRotation(source.config.headSize());
        boolean pads = rotation.paddedLength() != rotation.length();
        if (!quantization.rotates() && !(quantization.packsCache() && pads)) {
            return null;
        }
        int size = rotation.length();
        int padded = rotation.paddedLength();
        float[] columns = new float[size * padded];
        for (int i = 0; i < size; i++) {
            columns[i * padded + i] = 1;
            rotation.apply(columns, i * padded);
        }
        try (NDArray transposed = manager.create(columns, new Shape(size, padded))) {
            return transposed.transpose().duplicate();
        }
    }

    /** {@code W_v} becomes {@code R·W_v} for each head, and so does the bias. */
    private static void foldIntoValues(Rotation rotation, Block value) {
        for (Parameter parameter : value.getDirectParameters().values()) {
            FloatBuffer rows = parameter.getArray().toByteBuffer(true).asFloatBuffer();
            Shape shape = parameter.getArray().getShape();
            int columns = Math.toIntExact(shape.size() / shape.get(0));
            int size = rotation.length();
            float[] vector = new float[size];
            for (int head = 0; head < shape.get(0); head += size) {
                for (int column = 0; column < columns; column++) {
                    for (int i = 0; i < size; i++) {
                        vector[i] = rows.get((head + i) * columns + column);
                    }
                    rotation.apply(vector, 0);
                    for (int i = 0; i < size; i++) {
                        rows.put((head + i) * columns + column, vector[i]);
                    }
                }
            }
        }
    }

    /** {@code W_o} becomes {@code W_o·Rᵀ} for each head: the rotation of each piece of a row. */
    private static void foldIntoOutput(Rotation rotation, Block output) {
        FloatBuffer weight =
                output.getDirectParameters()
                        .get("weight")
                        .getArray()
                        .toByteBuffer(true)
                        .asFloatBuffer();
        float[] piece = new float[rotation.length()];
        for (int start = 0; start < weight.capacity(); start += piece.length) {
            weight.get(start, piece);
            rotation.apply(piece, 0);
            weight.put(start, piece);
        }
    }

    /** Returns what head vectors go through, as {@link #attend} does it. */
    Rotation headRotation() {
        return headRotation;
    }

    /** {@inheritDoc} */
    @Override
    boolean fusible() {
        return plainOutput && simulated == null;
    }

    /** {@inheritDoc} */
    @Override
    NDArray attend(Pass pass, NDArray q, NDArray k, NDArray v) {
        if (rotation == null) {
            return super.attend(pass, q, coded(k), coded(v));
        }
        NDArray matrix = rotation.getArray();
        NDArray keys = coded(rotate(k, matrix));
        NDArray values = coded(plainOutput ? v : rotate(v, matrix));
        NDArray mixed = super.attend(pass, rotate(q, matrix), keys, values);
        return plainOutput ? mixed : rotate(mixed, matrix.transpose());
    }

    private NDArray coded(NDArray vectors) {
        return simulated == null ? vectors : simulated.apply(vectors);
    }

    private static NDArray rotate(NDArray x, NDArray weight) {
        StageClock.enter(Stage.ROTATION);
        NDArray rotated = Linear.linear(x, weight).singletonOrThrow();
        StageClock.leave(Stage.ROTATION);
        return rotated;
    }
}
