package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nestquant.rotation.Workspace;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;

/**
 * A {@link Vocabulary} that exists only as int8 codes of its rotated rows, {@code q_v·s_v ≈ R·e_v}:
 * 8 bits per weight and one float per row.
 *
 * <p>The logit of token v is {@code s_v · q_v·(Rx)}, its embedding {@code Rᵀ(s_v·q_v)}; x itself
 * stays float. Codes are int32 and float32 parameters in the host engine's memory, freed with the
 * manager they were created in. Stateless after construction and therefore safe for concurrent use.
 */
final class CodedVocabulary extends AbstractBlock implements Vocabulary {

    private final int hidden;
    private final Rotation rotation;
    private final Int8Arrays codes;
    private final CodedProduct product;

    @SuppressWarnings("this-escape")
    private CodedVocabulary(int hidden, Int8Arrays codes) {
        this.hidden = hidden;
        this.codes = codes;
        rotation = NestQuantLinear.rotation(hidden);
        product = CodedProduct.of(codes.matrix());
        addParameter(Blocks.parameter("words", Parameter.Type.OTHER, codes.words()));
        addParameter(Blocks.parameter("row_scales", Parameter.Type.OTHER, codes.rowScales()));
    }

    /**
     * Encodes a matrix.
     *
     * @param name the block's name, for error messages
     * @param rows the rows, {@code [vocabulary][hidden]}; not needed afterwards
     * @param manager owns the codes
     * @return the coded block
     * @throws IllegalArgumentException if a weight is NaN or infinite, naming its position
     */
    static CodedVocabulary encode(String name, RotatedRows rows, NDManager manager) {
        CodedVocabulary coded = allocate(rows.rows(), rows.columns(), manager);
        try {
            rows.forEachTile(coded::encodeTile);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "cannot quantize " + name + ".weight: " + e.getMessage(), e);
        }
        return coded;
    }

    /** Makes a block of codes that are there already. */
    static CodedVocabulary of(int hidden, Int8Arrays codes) {
        return new CodedVocabulary(hidden, codes);
    }

    /** Allocates a matrix of zeros, which are to be written to {@link #matrix}. */
    static CodedVocabulary allocate(int size, int hidden, NDManager manager) {
        int columns = NestQuantLinear.rotation(hidden).paddedLength();
        return of(hidden, Int8Arrays.allocate(manager, size, columns));
    }

    private void encodeTile(float[] rotated, int tile) {
        int columns = rotation.paddedLength();
        for (int i = 0; i < rotated.length / columns; i++) {
            codes.matrix().encodeRow(tile * Int8Matrix.TILE_ROWS + i, rotated, i * columns);
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDArray embed(ParameterStore store, NDArray ids) {
        checkOpen();
        long[] tokens = ids.toLongArray();
        float[] rows = new float[tokens.length * hidden];
        byte[] q = new byte[rotation.paddedLength()];
        float[] row = new float[rotation.paddedLength()];
        Workspace work = rotation.newWorkspace();
        for (int t = 0; t < tokens.length; t++) {
            int token = (int) tokens[t];
            codes.matrix().decodeRow(token, q);
            float scale = codes.matrix().rowScale(token);
            for (int c = 0; c < q.length; c++) {
                row[c] = scale * q[c];
            }
            rotation.applyInverse(row, 0, work);
            System.arraycopy(row, 0, rows, t * hidden, hidden);
        }
        return ids.getManager().create(rows, ids.getShape().add(hidden));
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
        Int8Rows coded = Int8Rows.round(rotated, tokens, 16);
        StageClock.leave(Stage.ENCODING);
        NDArray y = product.multiply(x.getManager(), coded);
        return new NDList(y.reshape(getOutputShapes(new Shape[] {x.getShape()})[0]));
    }

    private void checkOpen() {
        if (codes.words().isReleased()) {
            throw new IllegalStateException("the weights are freed: their model has been closed");
        }
    }

    /** Counts the weights and their bytes; they are not among the lattice-coded ones. */
    WeightSummary weights() {
        return new WeightSummary((long) codes.matrix().rows() * hidden, 0, 0, codes.bytes());
    }

    /** Returns the codes. */
    Int8Matrix matrix() {
        return codes.matrix();
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        Shape shape = inputShapes[0];
        return new Shape[] {shape.slice(0, shape.dimension() - 1).add(codes.matrix().rows())};
    }
}
