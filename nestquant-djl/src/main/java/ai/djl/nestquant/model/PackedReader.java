package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.checkpoint.TensorInfo;
import ai.djl.nestquant.checkpoint.TensorType;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nn.Block;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads the blocks of a quantised model folder. Lattice codes are converted; int8 rows, and floats
 * of matrices, stay where the file is mapped, so the checkpoint must stay open as long as the
 * blocks are used; the small rest is copied. Not safe for concurrent use.
 */
final class PackedReader extends LayerReader {

    /** Floats from this many on are used where they are mapped. */
    private static final long MAPPED_FLOATS = 1 << 16;

    /** Bytes of words that are converted at once. */
    private static final int PIECE_BYTES = 4 << 20;

    private final QuantizationConfig quantization;

    /** What is read at once: of all matrices, since direct buffers are freed late. */
    private ByteBuffer words = ByteBuffer.allocateDirect(0);

    private ByteBuffer betas = words;
    private final Set<String> seen = new HashSet<>();

    PackedReader(ModelConfig config, Checkpoint checkpoint, QuantizationConfig quantization) {
        super(config, checkpoint);
        this.quantization = quantization;
    }

    /** Reads the whole model. */
    CausalLm read(NDManager manager) throws MalformedModelException {
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
            throw new CheckpointException("quantised folders need a little-endian processor");
        }
        Vocabulary embedding = embedding(manager);
        List<Block> layers = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            layers.add(layer(i, manager));
        }
        Block norm = finalNorm(manager);
        Block head = config.tiedEmbeddings() ? null : head(manager);
        TreeSet<String> unknown = new TreeSet<>(checkpoint.names());
        unknown.removeAll(seen);
        if (!unknown.isEmpty()) {
            throw new CheckpointException(
                    checkpoint.directory()
                            + ": tensor '"
                            + unknown.first()
                            + "' is no part of the model that config.json describes");
        }
        return new CausalLm(config, quantization, embedding, layers, norm, head);
    }

    private Vocabulary embedding(NDManager manager) throws MalformedModelException {
        boolean tied = config.tiedEmbeddings();
        if (quantization.packsEmbedding(tied)) {
            int hidden = config.hiddenSize();
            return CodedVocabulary.of(
                    quantization.rotation(hidden),
                    quantization.activationBits(),
                    packed(
                            EMBEDDING,
                            quantization.weightCode(),
                            config.vocabularySize(),
                            hidden,
                            manager));
        }
        return quantization.codesEmbedding(tied)
                ? int8Vocabulary(EMBEDDING, manager)
                : new FloatVocabulary(vocabulary(EMBEDDING, manager));
    }

    /** {@inheritDoc} */
    @Override
    Block head(NDManager manager) throws MalformedModelException {
        boolean int8 =
                quantization.head() == QuantizationConfig.Head.INT8
                        && quantization.codesVocabulary(HEAD);
        int out = config.vocabularySize();
        if (int8) {
            return int8Vocabulary(HEAD, manager);
        }
        return quantization.head() == QuantizationConfig.Head.W4
                ? linear(HEAD, out, config.hiddenSize(), false, manager)
                : floatLinear(HEAD, out, config.hiddenSize(), false, manager);
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
    Block linear(String name, int out, int in, boolean bias, NDManager manager)
            throws MalformedModelException {
        int bits = quantization.weightBits(name);
        if (bits == 0) {
            return floatLinear(name, out, in, bias, manager);
        }
        return NestQuantLinear.of(
                quantization.rotation(in),
                bits == 8
                        ? int8(name, out, in, manager)
                        : packed(name, quantization.weightCode(bits), out, in, manager),
                bias ? tensor(name + ".bias", manager, out) : null,
                quantization.activationBits());
    }

    /** A matrix of lattice codes, converted from what is stored to what kernels decode faster. */
    private PackedArrays packed(String name, PackedCode code, int out, int in, NDManager manager)
            throws MalformedModelException {
        int columns = quantization.rotation(in).paddedLength();
        int blocks = columns / PackedMatrix.BLOCK;
        long tiles = tiles(out);
        int ints = code.wordsPerRow(blocks);
        require(name + ".words", TensorType.I32, tiles, ints, PackedMatrix.TILE_ROWS);
        require(name + ".betas", TensorType.I32, tiles, blocks);
        require(name + ".row_scales", TensorType.U8, out);
        String scaleName = name + ".tensor_scale";
        require(scaleName, TensorType.F32, 1);
        float scale = checkpoint.readFloats(scaleName)[0];
        if (!(scale > 0) || scale == Float.POSITIVE_INFINITY) {
            throw invalid(scaleName, "is " + scale + ", not positive and finite");
        }
        PackedArrays arrays = PackedArrays.allocateRoom(manager, code, out, columns, scale);
        checkpoint.read(name + ".row_scales", 0, arrays.matrix().rowScales());
        convert(name, arrays.matrix());
        return arrays;
    }

    /** Reads and converts a matrix piece by piece. */
    private void convert(String name, PackedMatrix matrix) throws CheckpointException {
        int wordBytes = matrix.wordsPerTile() * Integer.BYTES;
        int betaBytes = matrix.blocks() * Integer.BYTES;
        int step = Math.max(1, PIECE_BYTES / wordBytes);
        for (int tile = 0; tile < matrix.tiles(); tile += step) {
            int count = Math.min(step, matrix.tiles() - tile);
            words = room(words, count * wordBytes);
            betas = room(betas, count * betaBytes);
            checkpoint.read(name + ".words", (long) tile * wordBytes, words);
            checkpoint.read(name + ".betas", (long) tile * betaBytes, betas);
            StoredCodes codes = new StoredCodes(words.flip(), betas.flip());
            Kernels.best().readStored(codes, matrix, tile);
        }
    }

    /** Returns a buffer of so many bytes, the one that is there if it is large enough. */
    private static ByteBuffer room(ByteBuffer buffer, int bytes) {
        ByteBuffer enough =
                buffer.capacity() < bytes
                        ? ByteBuffer.allocateDirect(Math.max(bytes, PIECE_BYTES))
                        : buffer;
        return enough.clear().limit(bytes);
    }

    private CodedVocabulary int8Vocabulary(String name, NDManager manager)
            throws MalformedModelException {
        int hidden = config.hiddenSize();
        return CodedVocabulary.of(
                quantization.rotation(hidden),
                int8(name, config.vocabularySize(), hidden, manager));
    }

    /** A matrix of int8 rows. */
    private Int8Arrays int8(String name, int rows, int in, NDManager manager)
            throws MalformedModelException {
        int columns = quantization.rotation(in).paddedLength();
        NDArray words =
                ints(
                        name + ".words",
                        manager,
                        tiles(rows),
                        columns / Int8Matrix.GROUP,
                        Int8Matrix.TILE_ROWS);
        String scales = name + ".row_scales";
        NDArray rowScales = mapped(scales, TensorType.F32, manager, rows);
        FloatBuffer floats = bytes(scales).asFloatBuffer();
        for (int row = 0; row < rows; row++) {
            if (!(floats.get(row) >= 0) || floats.get(row) == Float.POSITIVE_INFINITY) {
                throw invalid(scales, "has " + floats.get(row) + " for row " + row);
            }
        }
        Int8Matrix matrix =
                new Int8Matrix(rows, columns, bytes(name + ".words").asIntBuffer(), floats);
        return new Int8Arrays(words, rowScales, matrix);
    }

    private static long tiles(int rows) {
        return (rows + PackedMatrix.TILE_ROWS - 1L) / PackedMatrix.TILE_ROWS;
    }

    private NDArray ints(String name, NDManager manager, long... shape)
            throws MalformedModelException {
        return mapped(name, TensorType.I32, manager, shape);
    }

    /** {@inheritDoc} */
    @Override
    NDArray tensor(String name, NDManager manager, long... shape) throws MalformedModelException {
        require(name, TensorType.F32, shape);
        long floats = new Shape(shape).size();
        if (floats >= MAPPED_FLOATS && floats * Float.BYTES <= Integer.MAX_VALUE) {
            return mapped(name, TensorType.F32, manager, shape);
        }
        if (floats < MAPPED_FLOATS) {
            for (float value : checkpoint.readFloats(name)) {
                if (!Float.isFinite(value)) {
                    throw invalid(name, "has an entry " + value);
                }
            }
        }
        return super.tensor(name, manager, shape);
    }

    private NDArray mapped(String name, TensorType type, NDManager manager, long... shape)
            throws CheckpointException {
        require(name, type, shape);
        DataType dataType =
                type == TensorType.I32
                        ? DataType.INT32
                        : type == TensorType.U8 ? DataType.UINT8 : DataType.FLOAT32;
        return manager.create(bytes(name), new Shape(shape), dataType);
    }

    /** Returns a mapped tensor in native order, which must be that of the file. */
    private ByteBuffer bytes(String name) throws CheckpointException {
        ByteBuffer bytes = checkpoint.bytes(name);
        int size = checkpoint.info(name).type().bytes();
        if (bytes.alignmentOffset(0, size) != 0) {
            throw invalid(name, "does not begin at a multiple of " + size + " bytes");
        }
        return bytes;
    }

    private void require(String name, TensorType type, long... shape) throws CheckpointException {
        TensorInfo info = checkpoint.require(name, shape);
        if (info.type() != type) {
            throw invalid(name, "has dtype " + info.type() + " instead of " + type);
        }
        seen.add(name);
    }

    private CheckpointException invalid(String tensor, String message) {
        return new CheckpointException(
                checkpoint.directory() + ": tensor '" + tensor + "' " + message);
    }
}
