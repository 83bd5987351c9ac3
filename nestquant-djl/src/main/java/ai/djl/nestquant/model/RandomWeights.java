package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nn.Block;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Models of random weights for measuring speed: of the right sizes, packed as real ones, made in
 * seconds.
 *
 * <p>Weights are Gaussian with variance {@code 1/inFeatures}, so that activations keep their size
 * from layer to layer. Only {@value #PATTERN_ROWS} rows of each length are drawn and coded, by the
 * encoder that codes real weights; matrices repeat their tiles. Not safe for concurrent use.
 */
public final class RandomWeights extends LayerReader {

    private static final int PATTERN_ROWS = 256;
    private static final int TILE_ROWS = PackedMatrix.TILE_ROWS;

    private final QuantizationConfig quantization;
    private final Random random = new Random(1);
    private final Map<Pattern, PackedMatrix> patterns = new HashMap<>();
    private final Map<Integer, Int8Matrix> int8Patterns = new HashMap<>();

    /** What coded rows are repeated for. */
    private record Pattern(PackedCode code, int inFeatures) {}

    private RandomWeights(ModelConfig config, QuantizationConfig quantization) {
        super(config, null);
        this.quantization = quantization;
    }

    /**
     * Makes a model.
     *
     * @param config its architecture; rows of weights must come in multiples of 16
     * @param quantization what to put on codes
     * @param manager owns the weights, which live until it is closed
     * @return the model
     * @throws IllegalArgumentException if the quantization is simulated in floats, or names a block
     *     that the model does not have
     */
    public static CausalLm model(
            ModelConfig config, QuantizationConfig quantization, NDManager manager) {
        if (quantization.code().simulated()) {
            throw new IllegalArgumentException(
                    "random weights are made packed, and the code of "
                            + quantization
                            + " is only simulated in floats; use code=d8 or code=e8");
        }
        LinearShape.checkNames(config, quantization);
        try {
            return new RandomWeights(config, quantization).build(manager);
        } catch (MalformedModelException e) {
            throw new IllegalStateException(e); // nothing is read that could be malformed
        }
    }

    /**
     * Estimates what a model's weights take.
     *
     * @param config its architecture
     * @param quantization what is on codes
     * @return bytes
     */
    public static long bytes(ModelConfig config, QuantizationConfig quantization) {
        return ContainerEstimate.bytes(config, quantization);
    }

    private CausalLm build(NDManager manager) throws MalformedModelException {
        boolean tied = config.tiedEmbeddings();
        Vocabulary embedding =
                quantization.packsEmbedding(tied)
                        ? packedEmbedding(manager)
                        : vocabulary(quantization.codesEmbedding(tied), manager);
        List<Block> layers = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            layers.add(layer(i, manager));
        }
        Block head = null;
        if (!tied) {
            head =
                    quantization.head() == QuantizationConfig.Head.W4
                            ? head(manager)
                            : vocabulary(quantization.codesVocabulary(HEAD), manager);
        }
        return new CausalLm(config, quantization, embedding, layers, finalNorm(manager), head);
    }

    private Vocabulary packedEmbedding(NDManager manager) {
        int hidden = config.hiddenSize();
        return CodedVocabulary.of(
                quantization.rotation(hidden),
                quantization.activationBits(),
                packed(quantization.weightCode(), config.vocabularySize(), hidden, manager));
    }

    private Vocabulary vocabulary(boolean coded, NDManager manager) {
        int rows = config.vocabularySize();
        int hidden = config.hiddenSize();
        return coded
                ? CodedVocabulary.of(quantization.rotation(hidden), int8(rows, hidden, manager))
                : new FloatVocabulary(floats(rows, hidden, manager));
    }

    private Int8Arrays int8(int rows, int inFeatures, NDManager manager) {
        Int8Matrix pattern = int8Patterns.computeIfAbsent(inFeatures, this::int8Pattern);
        Int8Arrays codes = Int8Arrays.allocate(manager, rows, pattern.columns());
        Int8Matrix matrix = codes.matrix();
        repeat(pattern.words(), matrix.words(), TILE_ROWS * matrix.groups());
        for (int row = 0; row < rows; row++) {
            matrix.rowScales().put(row, pattern.rowScale(row % PATTERN_ROWS));
        }
        return codes;
    }

    private Int8Matrix int8Pattern(int inFeatures) {
        int length = quantization.rotation(inFeatures).paddedLength();
        Int8Matrix pattern = Int8Matrix.allocate(PATTERN_ROWS, length);
        float[] drawn = gaussian(PATTERN_ROWS, length);
        for (int row = 0; row < PATTERN_ROWS; row++) {
            pattern.encodeRow(row, drawn, row * length);
        }
        return pattern;
    }

    /** {@inheritDoc} */
    @Override
    RotaryAttention attention(int index, String name, NDManager manager)
            throws MalformedModelException {
        RotaryAttention attention = super.attention(index, name, manager);
        return quantization.codesCache(index)
                ? NestQuantAttention.ofRotated(attention, quantization, manager)
                : attention;
    }

    /** {@inheritDoc} */
    @Override
    Block linear(String name, int out, int in, boolean bias, NDManager manager) {
        if (!quantization.quantizes(name)) {
            return Blocks.linear(floats(out, in, manager), null);
        }
        if (out % TILE_ROWS != 0) {
            throw new IllegalArgumentException(
                    name + " has " + out + " rows; random weights come in multiples of 16");
        }
        int bits = quantization.weightBits(name);
        return NestQuantLinear.of(
                quantization.rotation(in),
                bits == Byte.SIZE
                        ? int8(out, in, manager)
                        : packed(quantization.weightCode(bits), out, in, manager),
                null,
                quantization.activationBits());
    }

    private PackedArrays packed(PackedCode code, int out, int in, NDManager manager) {
        PackedMatrix pattern = patterns.computeIfAbsent(new Pattern(code, in), this::pattern);
        PackedArrays packed =
                PackedArrays.allocate(
                        manager, pattern.code(), out, pattern.columns(), pattern.tensorScale());
        PackedMatrix matrix = packed.matrix();
        repeat(pattern.words(), matrix.words(), pattern.words().capacity() / pattern.tiles());
        repeat(pattern.betas(), matrix.betas(), pattern.indexAt(1, 0));
        for (int row = 0; row < out; row++) {
            matrix.rowScales().put(row, pattern.rowScales().get(row % PATTERN_ROWS));
        }
        return packed;
    }

    private PackedMatrix pattern(Pattern key) {
        int length = quantization.rotation(key.inFeatures()).paddedLength();
        float[] drawn = gaussian(PATTERN_ROWS, length);
        float largest = 0;
        for (int row = 0; row < PATTERN_ROWS; row++) {
            largest =
                    Math.max(
                            largest,
                            PackedMatrixEncoder.largestBlockNorm(drawn, row * length, length));
        }
        float tensorScale = PackedMatrixEncoder.tensorScale(key.code(), largest);
        PackedMatrix pattern = PackedMatrix.allocate(key.code(), PATTERN_ROWS, length, tensorScale);
        Parallel.forEach(
                pattern.tiles(),
                tile -> {
                    int first = tile * TILE_ROWS;
                    Kernels.best()
                            .encodeRows(
                                    pattern,
                                    first,
                                    first + TILE_ROWS,
                                    drawn,
                                    first * length,
                                    new DistortionStats());
                });
        return pattern;
    }

    private float[] gaussian(int rows, int columns) {
        float[] drawn = new float[rows * columns];
        double deviation = 1 / Math.sqrt(columns);
        for (int i = 0; i < drawn.length; i++) {
            drawn[i] = (float) (deviation * random.nextGaussian());
        }
        return drawn;
    }

    /** Fills a buffer with the tiles of a pattern, again and again. */
    private static void repeat(ByteBuffer pattern, ByteBuffer target, int tileBytes) {
        int tiles = target.capacity() / tileBytes;
        int ofPattern = pattern.capacity() / tileBytes;
        Parallel.forEach(
                tiles,
                tile ->
                        target.put(
                                tile * tileBytes,
                                pattern,
                                tile % ofPattern * tileBytes,
                                tileBytes));
    }

    /** Fills a buffer with the tiles of a pattern, again and again. */
    private static void repeat(IntBuffer pattern, IntBuffer target, int tileInts) {
        int tiles = target.capacity() / tileInts;
        int ofPattern = pattern.capacity() / tileInts;
        Parallel.forEach(
                tiles,
                tile ->
                        target.put(
                                tile * tileInts, pattern, tile % ofPattern * tileInts, tileInts));
    }

    private static NDArray floats(int rows, int columns, NDManager manager) {
        float deviation = (float) (1 / Math.sqrt(columns));
        return manager.randomNormal(0, deviation, new Shape(rows, columns), DataType.FLOAT32);
    }

    /** {@inheritDoc} */
    @Override
    Block norm(String name, int size, NDManager manager) {
        return new RmsNorm(manager.ones(new Shape(size)), (float) config.rmsNormEps());
    }
}
