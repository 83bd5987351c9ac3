package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.ContainerBuilder;
import ai.djl.nestquant.checkpoint.ContainerConfig;
import ai.djl.nestquant.checkpoint.ContainerManifest;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.checkpoint.TensorFileWriter;
import ai.djl.nestquant.checkpoint.TensorType;
import ai.djl.nestquant.codec.Ladder;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.IntStream;

/**
 * Quantises a model folder to another folder, one layer at a time: what is finished is on the disk
 * and not in memory, and an interrupted run goes on where it stopped.
 *
 * <p>Parts are the embedding, each decoder layer, and the final norm with the head. When a run goes
 * on, the calibration text passes again through the layers that are finished, as floats or, for
 * rounding with feedback, as they have been written; the result is the same to the bit. Not safe
 * for concurrent use.
 */
public final class ContainerWriter {

    /** Learns how far a run is. */
    @FunctionalInterface
    public interface Progress {

        /**
         * Called after each part.
         *
         * @param parts the parts that are finished
         * @param total the number of parts
         * @param weights the weights in the parts that this run has quantised
         */
        void at(int parts, int total, long weights);
    }

    private final ModelConfig config;
    private final LayerReader reader;
    private final QuantizationConfig quantization;
    private final ContainerBuilder builder;
    private final NDManager manager;

    private ContainerWriter(
            LayerReader reader,
            QuantizationConfig quantization,
            ContainerBuilder builder,
            NDManager manager) {
        config = reader.config;
        this.reader = reader;
        this.quantization = quantization;
        this.builder = builder;
        this.manager = manager;
    }

    /**
     * Quantises a model.
     *
     * @param source the float model's folder
     * @param target the folder to make; must not exist
     * @param quantization what to code; weights must be
     * @param calibrationIds the text to calibrate for; null or empty for none
     * @param libraryVersion what the folder says it was written by
     * @param manager the parent of all memory that is needed meanwhile
     * @param progress is told after each part
     * @return the manifest of the new folder
     * @throws IOException if a file cannot be read or written
     * @throws MalformedModelException if the float model is not as it must be, the target exists,
     *     or a different run has begun it
     * @throws IllegalArgumentException if the quantization cannot be stored or does not suit the
     *     model, or a weight is NaN or infinite
     */
    public static ContainerManifest write(
            Path source,
            Path target,
            QuantizationConfig quantization,
            long[] calibrationIds,
            String libraryVersion,
            NDManager manager,
            Progress progress)
            throws IOException, MalformedModelException {
        checkStorable(quantization);
        ModelConfig config = floatModel(source);
        ContainerBuilder.checkAbsent(target);
        long[] ids = quantization.needsText() ? calibrationIds : null;
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ContainerBuilder builder =
                        ContainerBuilder.open(
                                target, source, quantization.toString(), ids, libraryVersion)) {
            if (!builder.isSealed()) {
                LayerReader reader = new LayerReader(config, checkpoint);
                new ContainerWriter(reader, quantization, builder, manager).write(ids, progress);
                builder.seal(config.layers() + 2, describe(config, quantization, libraryVersion));
            }
            return builder.publish();
        }
    }

    /** Reads the configuration of a folder to be quantised, which must not be quantised already. */
    static ModelConfig floatModel(Path source) throws IOException, MalformedModelException {
        if (ContainerConfig.describes(source)) {
            throw new IllegalArgumentException(
                    source + " is quantised already; give the folder of the float model");
        }
        return ModelConfig.load(source);
    }

    /**
     * Throws unless codes of this kind can be stored.
     *
     * @param quantization what would be coded
     * @throws IllegalArgumentException if weights stay float or are only simulated
     */
    public static void checkStorable(QuantizationConfig quantization) {
        if (quantization.weightBits() == 0) {
            throw new IllegalArgumentException(
                    "quantization "
                            + quantization
                            + " leaves the weights as they are: there is nothing to write; use"
                            + " w4, w3 or w8");
        }
        if (quantization.code().simulated()) {
            throw new IllegalArgumentException(
                    "code="
                            + quantization.code().key()
                            + " is simulated in floats for comparison and cannot be stored; use"
                            + " code=d8 or code=e8");
        }
    }

    /** Describes how packed tensors are to be read. */
    static ContainerConfig describe(
            ModelConfig config, QuantizationConfig quantization, String libraryVersion) {
        Ladder ladder = quantization.weightCode().ladder(); // that of all bits
        return new ContainerConfig(
                quantization.toString(),
                quantization.codeName(quantization.weightBits()),
                otherCodes(config, quantization),
                IntStream.range(0, ladder.size()).map(ladder::step).boxed().toList(),
                IntStream.of(
                                config.hiddenSize(),
                                config.heads() * config.headSize(),
                                config.intermediateSize())
                        .sorted()
                        .distinct()
                        .mapToObj(length -> quantization.rotation(length).split())
                        .toList(),
                QuantizationConfig.LINEAR_SEED,
                QuantizationConfig.HEAD_SEED,
                libraryVersion);
    }

    /** Returns the codes of matrices that have other bits than the preset, by name. */
    private static Map<String, String> otherCodes(
            ModelConfig config, QuantizationConfig quantization) {
        Map<String, String> codes = new TreeMap<>();
        for (LinearShape linear : LinearShape.of(config)) {
            int bits = quantization.weightBits(linear.name());
            if (bits > 0) {
                codes.put(linear.name(), quantization.codeName(bits));
            }
        }
        boolean tied = config.tiedEmbeddings();
        if (quantization.packsEmbedding(tied)) {
            codes.put(LayerReader.EMBEDDING, quantization.weightCode().name());
        } else if (!tied && quantization.head() == QuantizationConfig.Head.W4) {
            int bits = quantization.weightBits(LayerReader.HEAD);
            if (bits > 0) {
                codes.put(LayerReader.HEAD, quantization.codeName(bits));
            }
        }
        codes.values().removeIf(quantization.codeName(quantization.weightBits())::equals);
        return codes;
    }

    private void write(long[] ids, Progress progress) throws IOException, MalformedModelException {
        int parts = config.layers() + 2;
        try (LayerCoder coder = new LayerCoder(reader, quantization, ids, manager);
                PartQueue queue = new PartQueue(builder, parts, progress)) {
            for (int part = 0; part < parts; part++) {
                if (!builder.has(part)) {
                    queue.put(code(part, coder));
                } else {
                    queue.await();
                    if (part > 0 && part <= config.layers()) {
                        pass(part, coder);
                    }
                    progress.at(part + 1, parts, queue.weights());
                }
            }
            queue.await();
        }
    }

    /** Lets the calibration text pass a finished part. */
    private void pass(int part, LayerCoder coder) throws IOException, MalformedModelException {
        try (Checkpoint finished = builder.read(part);
                NDManager scope = manager.newSubManager()) {
            coder.pass(part - 1, new PackedReader(config, finished, quantization), scope);
        }
    }

    private Part code(int part, LayerCoder coder) throws MalformedModelException {
        Part tensors = new Part(part, manager.newSubManager());
        try {
            if (part == 0) {
                tensors.add(LayerReader.EMBEDDING, coder.embedding(tensors.scope));
            } else if (part <= config.layers()) {
                String name = LayerReader.layerName(part - 1);
                tensors.add(name, coder.layer(part - 1, tensors.scope));
            } else {
                LayerCoder.Output output = coder.output(tensors.scope);
                tensors.add(LayerReader.NORM, output.norm());
                if (output.head() != null) {
                    tensors.add(LayerReader.HEAD, output.head());
                }
            }
            return tensors;
        } catch (MalformedModelException | RuntimeException e) {
            tensors.scope.close();
            throw e;
        }
    }

    /** Writes each part while the next one is being coded; holds the codes of both. */
    private static final class PartQueue implements AutoCloseable {

        private final ContainerBuilder builder;
        private final int parts;
        private final Progress progress;
        private Part part;
        private CompletableFuture<Void> writing;
        private long weights;

        PartQueue(ContainerBuilder builder, int parts, Progress progress) {
            this.builder = builder;
            this.parts = parts;
            this.progress = progress;
        }

        /** Returns the weights of all parts that have been written. */
        long weights() {
            return weights;
        }

        /** Begins to write a part, after the one before it; frees it when it is written. */
        void put(Part next) throws IOException {
            try {
                await();
            } catch (IOException | RuntimeException e) {
                next.scope.close();
                throw e;
            }
            part = next;
            // a thread of its own: the common pool's have layers to code
            writing =
                    CompletableFuture.runAsync(
                            () -> write(next),
                            task -> new Thread(task, "nestquant-part-writer").start());
        }

        private void write(Part next) {
            try {
                builder.put(next.index, next.writer, next.layers);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        /** Waits until what was put last is on the disk. */
        void await() throws IOException {
            if (part == null) {
                return;
            }
            try {
                writing.join();
                weights += part.weights;
                progress.at(part.index + 1, parts, weights);
            } catch (CompletionException e) {
                if (e.getCause() instanceof UncheckedIOException failure) {
                    throw failure.getCause();
                }
                throw e;
            } finally {
                part.scope.close();
                part = null;
            }
        }

        /** Frees what was put last when nobody writes it any more. */
        @Override
        public void close() {
            if (part != null) {
                writing.handle((done, failure) -> null).join();
                part.scope.close();
            }
        }
    }

    /** The tensors of a part and what became of its weights. */
    private static final class Part {

        final int index;

        /** Owns the tensors. */
        final NDManager scope;

        final TensorFileWriter writer = new TensorFileWriter();
        final List<ContainerManifest.Layer> layers = new ArrayList<>();
        long weights;

        Part(int index, NDManager scope) {
            this.index = index;
            this.scope = scope;
        }

        void add(String name, Block block) {
            CodedArrays codes = null;
            if (block instanceof NestQuantLinear linear) {
                codes = linear.codes();
                CodedLayer coded = linear.describe(name);
                layers.add(
                        new ContainerManifest.Layer(
                                name,
                                coded.weights(),
                                coded.bitsPerEntry(),
                                coded.distortion(),
                                linear.distortion().overloadedBlocks()));
                weights += coded.weights();
            } else if (block instanceof CodedVocabulary vocabulary) {
                codes = vocabulary.codes();
                weights += vocabulary.weights().parameters();
            }
            Set<String> done = new HashSet<>(Set.of(NestQuantAttention.ROTATION)); // by its seed
            if (codes instanceof PackedArrays packed) { // int8 rows stay as they are
                addCodes(name, packed.matrix());
                done.addAll(Set.of("words", "betas"));
            }
            for (Map.Entry<String, Parameter> entry :
                    block.getDirectParameters().toMap().entrySet()) {
                String own = entry.getKey();
                if (!done.contains(own)) {
                    add(name + '.' + own, entry.getValue().getArray());
                }
            }
            block.getChildren()
                    .forEach(child -> add(name + '.' + Blocks.ownName(child), child.getValue()));
        }

        private void addCodes(String name, PackedMatrix matrix) {
            ByteBuffer scale = ByteBuffer.allocate(Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            scale.putFloat(matrix.tensorScale()).flip();
            writer.add(name + ".tensor_scale", TensorType.F32, new long[] {1}, scale);
            int tiles = matrix.tiles();
            StoredCodes stored = StoredCodes.allocate(matrix, tiles);
            Parallel.forEach(
                    tiles,
                    tile -> {
                        int first = tile * PackedMatrix.TILE_ROWS;
                        int end = Math.min(first + PackedMatrix.TILE_ROWS, matrix.rows());
                        for (int row = first; row < end; row++) {
                            stored.writeRow(row, matrix, row);
                        }
                    });
            int ints = matrix.wordsPerTile() / PackedMatrix.TILE_ROWS;
            long[] words = {tiles, ints, PackedMatrix.TILE_ROWS};
            writer.add(name + ".words", TensorType.I32, words, stored.words());
            long[] betas = {tiles, matrix.blocks()};
            writer.add(name + ".betas", TensorType.I32, betas, stored.betas());
        }

        private void add(String name, NDArray array) {
            long[] shape = array.getShape().getShape();
            DataType type = array.getDataType();
            if (type == DataType.FLOAT32) {
                writer.add(name, TensorType.F32, shape, new FloatRows(array).bytes());
                return;
            }
            TensorType stored = type == DataType.INT32 ? TensorType.I32 : TensorType.U8;
            writer.add(name, stored, shape, array.toByteBuffer(true));
        }
    }
}
