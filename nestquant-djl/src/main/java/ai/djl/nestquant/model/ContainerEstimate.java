package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.codec.PackedMatrix;
import java.io.IOException;
import java.nio.file.Path;

/**
 * What a quantised folder will take. Sizes are computed, headers, biases, norms of heads and copied
 * files left out; the time is that of the embedding, that of the first layer, with a cold virtual
 * machine, and that of the second for each of the others.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param bitsPerWeight the bits of a coded Linear weight, scales included
 * @param bytes the bytes of all tensors
 * @param seconds the time
 */
public record ContainerEstimate(double bitsPerWeight, long bytes, double seconds) {

    /** Adds up matrices. */
    private static final class Sum {

        private final QuantizationConfig quantization;
        private long codedWeights;
        private long codedBytes;
        private long otherBytes;

        Sum(QuantizationConfig quantization) {
            this.quantization = quantization;
        }

        void linear(LinearShape linear) {
            int bits = quantization.weightBits(linear.name());
            if (bits == 0) {
                otherBytes += (long) linear.out() * linear.in() * Float.BYTES;
            } else {
                coded(bits, linear.out(), linear.in());
            }
        }

        /** Adds a matrix on so many bits. */
        void coded(int bits, long out, int in) {
            int columns = quantization.rotation(in).paddedLength();
            long tiles = (out + PackedMatrix.TILE_ROWS - 1) / PackedMatrix.TILE_ROWS;
            codedWeights += out * in;
            if (bits == 8) {
                codedBytes += tiles * PackedMatrix.TILE_ROWS * columns + out * Float.BYTES;
                return;
            }
            int blocks = columns / PackedMatrix.BLOCK;
            int words = quantization.weightCode(bits).wordsPerRow(blocks) * PackedMatrix.TILE_ROWS;
            codedBytes += tiles * (words + blocks) * Integer.BYTES + out + Float.BYTES;
        }

        void vocabulary(boolean coded, int rows, int hidden) {
            long bytes = quantization.rotation(hidden).paddedLength() + Float.BYTES;
            otherBytes += rows * (coded ? bytes : (long) hidden * Float.BYTES);
        }
    }

    /**
     * Estimates.
     *
     * @param source the float model's folder
     * @param quantization what would be coded
     * @param calibrationIds the text to calibrate for; null or empty for none
     * @param manager the parent of all memory that is needed meanwhile
     * @return size and time
     * @throws IOException if a file cannot be read
     * @throws MalformedModelException if the model is not as it must be
     * @throws IllegalArgumentException if it is quantised already
     */
    public static ContainerEstimate of(
            Path source, QuantizationConfig quantization, long[] calibrationIds, NDManager manager)
            throws IOException, MalformedModelException {
        ModelConfig config = ContainerWriter.floatModel(source);
        Sum sum = sizes(config, quantization);
        double ofEmbedding;
        double[] seconds = new double[Math.min(2, config.layers())];
        try (Checkpoint checkpoint = Checkpoint.open(source);
                NDManager memory = manager.newSubManager();
                LayerCoder coder =
                        new LayerCoder(
                                new LayerReader(config, checkpoint),
                                quantization,
                                calibrationIds,
                                memory)) {
            long begin = System.nanoTime();
            try (NDManager scope = memory.newSubManager()) {
                coder.embedding(scope);
            }
            ofEmbedding = (System.nanoTime() - begin) / 1e9;
            for (int i = 0; i < seconds.length; i++) {
                long start = System.nanoTime();
                try (NDManager scope = memory.newSubManager()) {
                    coder.layer(i, scope);
                }
                seconds[i] = (System.nanoTime() - start) / 1e9;
            }
        }
        double others = (config.layers() - 1) * seconds[seconds.length - 1];
        double bits = 8.0 * sum.codedBytes / Math.max(1, sum.codedWeights);
        return new ContainerEstimate(
                bits, sum.codedBytes + sum.otherBytes, ofEmbedding + seconds[0] + others);
    }

    /** Returns what the weights of a model take, as {@link #bytes} counts them. */
    static long bytes(ModelConfig config, QuantizationConfig quantization) {
        Sum sum = sizes(config, quantization);
        return sum.codedBytes + sum.otherBytes;
    }

    private static Sum sizes(ModelConfig config, QuantizationConfig quantization) {
        Sum sum = new Sum(quantization);
        int hidden = config.hiddenSize();
        LinearShape.of(config).forEach(sum::linear);
        sum.otherBytes += (2L * config.layers() + 1) * hidden * Float.BYTES; // norms
        int rows = config.vocabularySize();
        boolean tied = config.tiedEmbeddings();
        if (quantization.packsEmbedding(tied)) {
            sum.coded(quantization.weightCode().width(), rows, hidden);
        } else {
            sum.vocabulary(quantization.codesEmbedding(tied), rows, hidden);
        }
        if (!tied && quantization.head() == QuantizationConfig.Head.W4) {
            sum.linear(new LinearShape(LayerReader.HEAD, rows, hidden));
        } else if (!tied) {
            sum.vocabulary(quantization.codesVocabulary(LayerReader.HEAD), rows, hidden);
        }
        return sum;
    }
}
