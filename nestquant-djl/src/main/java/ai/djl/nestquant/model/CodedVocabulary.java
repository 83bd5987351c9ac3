package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.kernels.EmbeddingKernel;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nestquant.rotation.Workspace;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.UUID;
import java.util.function.Supplier;

/**
 * A {@link Vocabulary} that exists only as codes of its rotated rows, {@code q_v·s_v ≈ R·e_v}: int8
 * rows, 8 bits per weight and one float per row, or the layers' lattice code.
 *
 * <p>The logit of token v is {@code s_v · q_v·(Rx)}, its embedding {@code Rᵀ(s_v·q_v)}. For int8
 * rows x has 16 bits, as good as float; for lattice codes as many as in the layers. Codes are
 * parameters in the host engine's memory, freed with the manager they were created in. Stateless
 * after construction and therefore safe for concurrent use.
 */
final class CodedVocabulary extends AbstractBlock implements Vocabulary {

    private final int hidden;
    private final int activationBits;
    private final Rotation rotation;
    private final CodedArrays codes;
    private final CodedProduct product;

    /** Looks up embeddings in one call; null where this machine's kernels have none. */
    private final EmbeddingKernel kernel;

    @SuppressWarnings("this-escape")
    private CodedVocabulary(Rotation rotation, int activationBits, CodedArrays codes) {
        this.rotation = rotation;
        hidden = rotation.length();
        this.activationBits = activationBits;
        this.codes = codes;
        product = codes.product();
        kernel = Kernels.best().embedding(codes.matrix(), rotation);
        if (kernel != null) {
            NDManager owner = codes.words().getManager();
            owner.attachInternal("embedding " + UUID.randomUUID(), kernel);
        }
        codes.named()
                .forEach(
                        (name, array) ->
                                addParameter(Blocks.parameter(name, Parameter.Type.OTHER, array)));
    }

    /**
     * Rounds a matrix to int8 rows.
     *
     * @param name the block's name, for error messages
     * @param rows the rows, {@code [vocabulary][hidden]}; not needed afterwards
     * @param manager owns the codes
     * @return the coded block
     * @throws IllegalArgumentException if a weight is NaN or infinite, naming its position
     */
    static CodedVocabulary encode(String name, RotatedRows rows, NDManager manager) {
        return encode(
                name,
                rows,
                () ->
                        of(
                                rows.rotation(),
                                Int8Arrays.allocate(manager, rows.rows(), rows.paddedColumns())));
    }

    /**
     * Encodes a matrix on a lattice code, without feedback.
     *
     * @param name the block's name, for error messages
     * @param rows the rows, {@code [vocabulary][hidden]}; not needed afterwards
     * @param code the code
     * @param activationBits of the head's inputs: 4, 8, or 0 for 16
     * @param manager owns the codes
     * @return the coded block
     * @throws IllegalArgumentException if a weight is NaN or infinite, naming its position
     */
    static CodedVocabulary encode(
            String name, RotatedRows rows, PackedCode code, int activationBits, NDManager manager) {
        return encode(
                name,
                rows,
                () -> {
                    float scale = PackedMatrixEncoder.tensorScale(code, rows.largestBlockNorm());
                    int columns = rows.paddedColumns();
                    PackedArrays codes =
                            PackedArrays.allocate(manager, code, rows.rows(), columns, scale);
                    return of(rows.rotation(), activationBits, codes);
                });
    }

    private static CodedVocabulary encode(
            String name, RotatedRows rows, Supplier<CodedVocabulary> allocation) {
        try {
            CodedVocabulary coded = allocation.get();
            rows.forEachTile(
                    (rotated, tile) ->
                            coded.codes.encode(tile * PackedMatrix.TILE_ROWS, rotated, null));
            return coded;
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "cannot quantize " + name + ".weight: " + e.getMessage(), e);
        }
    }

    /** Makes a block of int8 rows that are there already. */
    static CodedVocabulary of(Rotation rotation, Int8Arrays codes) {
        return new CodedVocabulary(rotation, 16, codes);
    }

    /** Makes a block of lattice codes that are there already. */
    static CodedVocabulary of(Rotation rotation, int activationBits, PackedArrays codes) {
        return new CodedVocabulary(rotation, activationBits == 0 ? 16 : activationBits, codes);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray embed(ParameterStore store, NDArray ids) {
        checkOpen();
        long[] tokens = ids.toLongArray();
        Shape shape = ids.getShape().add(hidden);
        if (kernel != null) {
            NDArray rows = ids.getManager().create(shape, DataType.FLOAT32);
            kernel.embed(tokens, rows.toByteBuffer(true).asFloatBuffer());
            return rows;
        }
        float[] rows = new float[tokens.length * hidden];
        float[] row = new float[rotation.paddedLength()];
        Workspace work = rotation.newWorkspace();
        for (int t = 0; t < tokens.length; t++) {
            codes.decodeRow((int) tokens[t], row);
            rotation.applyInverse(row, 0, work);
            System.arraycopy(row, 0, rows, t * hidden, hidden);
        }
        return ids.getManager().create(rows, shape);
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        checkOpen();
        NDArray x = inputs.singletonOrThrow();
        int tokens = Math.toIntExact(x.size() / hidden);
        StageClock.enter(Stage.ROTATION);
        float[] rotated = rotation.padAndApply(x.toFloatArray(), tokens);
        StageClock.leave(Stage.ROTATION);
        StageClock.enter(Stage.ENCODING);
        Int8Rows coded = ActivationCode.code(rotated, tokens, activationBits);
        StageClock.leave(Stage.ENCODING);
        NDArray y = product.multiply(x.getManager(), coded);
        return new NDList(y.reshape(getOutputShapes(new Shape[] {x.getShape()})[0]));
    }

    private void checkOpen() {
        if (codes.words().isReleased()) {
            throw new IllegalStateException("the weights are freed: their model has been closed");
        }
    }

    /** Counts the weights and their bytes; int8 rows are not among the lattice-coded ones. */
    WeightSummary weights() {
        long weights = (long) codes.rows() * hidden;
        return codes instanceof PackedArrays
                ? new WeightSummary(weights, weights, codes.storedBytes(), codes.bytes())
                : new WeightSummary(weights, 0, 0, codes.bytes());
    }

    /** Returns what hidden states go through before they are coded. */
    Rotation rotation() {
        return rotation;
    }

    /** Returns bits of hidden states as they are multiplied: 4, 8 or 16. */
    int activationBits() {
        return activationBits;
    }

    /** Returns the codes. */
    CodedArrays codes() {
        return codes;
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(codes.rows())};
    }
}
