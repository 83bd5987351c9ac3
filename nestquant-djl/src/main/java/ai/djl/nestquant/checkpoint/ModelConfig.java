package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The architecture of a decoder model of the Llama family, as {@code config.json} describes it.
 *
 * <p>Keys absent from the file take the default that transformers gives them for the model type.
 * Thread-safe (immutable).
 *
 * @param type the model type
 * @param layers the number of decoder layers
 * @param hiddenSize the width of the residual stream
 * @param intermediateSize the width inside the feed-forward layers
 * @param heads the number of query heads
 * @param kvHeads the number of key and value heads, a divisor of {@code heads}
 * @param headSize the size of one head, even; not always {@code hiddenSize / heads}
 * @param vocabularySize the rows of the embedding
 * @param maxPositions the context length the model was made for, in tokens
 * @param rmsNormEps the epsilon of every RMSNorm
 * @param rope the rotary position embedding
 * @param qkvBias whether query, key and value projections have biases
 * @param outputBias whether the output projection of the attention has a bias
 * @param mlpBias whether gate, up and down projections have biases
 * @param qkNorm whether the heads of queries and keys pass an RMSNorm before the rotation
 * @param tiedEmbeddings whether the output head is the embedding matrix
 * @param slidingWindows one number per layer: 0 where a token sees all earlier ones, else the
 *     number of tokens it sees, itself included
 * @param dtype the floating type named by {@code dtype} or {@code torch_dtype}; informative only,
 *     the tensors carry their own
 * @param bosTokenId the id that starts a text
 * @param eosTokenIds the ids that end a text, empty if none is named
 */
public record ModelConfig(
        ModelType type,
        int layers,
        int hiddenSize,
        int intermediateSize,
        int heads,
        int kvHeads,
        int headSize,
        int vocabularySize,
        int maxPositions,
        double rmsNormEps,
        RopeConfig rope,
        boolean qkvBias,
        boolean outputBias,
        boolean mlpBias,
        boolean qkNorm,
        boolean tiedEmbeddings,
        List<Integer> slidingWindows,
        Optional<String> dtype,
        OptionalInt bosTokenId,
        List<Integer> eosTokenIds) {

    /** Larger than any context length in use. */
    static final int MAX_POSITIONS = 1 << 30;

    /** The file name in a model folder. */
    private static final String FILE = "config.json";

    /** Creates a configuration; the lists are copied. */
    public ModelConfig {
        if (slidingWindows.size() != layers) {
            throw new IllegalArgumentException(
                    slidingWindows.size() + " sliding windows for " + layers + " layers");
        }
        slidingWindows = List.copyOf(slidingWindows);
        eosTokenIds = List.copyOf(eosTokenIds);
    }

    /**
     * Reads {@code config.json} of a model folder.
     *
     * @param directory the folder
     * @return the configuration
     * @throws IOException if the file cannot be read
     * @throws CheckpointException if the file is missing or not valid, or asks for something that
     *     is not supported; the message names the key
     */
    public static ModelConfig load(Path directory) throws IOException, CheckpointException {
        Path file = directory.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw new CheckpointException(
                    file + ": missing; a HuggingFace model folder has a " + FILE);
        }
        return read(file);
    }

    /**
     * Reads a configuration file of any name.
     *
     * @param file the file
     * @return the configuration
     * @throws IOException if the file cannot be read
     * @throws CheckpointException as {@link #load}
     */
    public static ModelConfig read(Path file) throws IOException, CheckpointException {
        return ModelConfigParser.parse(ConfigSection.read(file));
    }

    /**
     * Returns the sliding window of one layer.
     *
     * @param layer the layer, from 0
     * @return the number of tokens a token sees, itself included; 0 for all
     */
    public int slidingWindow(int layer) {
        return slidingWindows.get(layer);
    }
}
