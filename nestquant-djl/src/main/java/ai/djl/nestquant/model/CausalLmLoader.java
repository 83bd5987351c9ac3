package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.checkpoint.ContainerConfig;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.Block;
import ai.djl.util.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * Builds a {@link CausalLm} from a HuggingFace model directory.
 *
 * <p>The embedding is coded first, then layers are read, balanced and transformed one after
 * another, so that quantising needs no more memory than the packed model, one float layer or head,
 * and what a pass of the calibration text through it takes. Not safe for concurrent use.
 */
public final class CausalLmLoader {

    private final ModelConfig config;
    private final Checkpoint checkpoint;
    private final NDManager manager;
    private final QuantizationConfig quantization;

    CausalLmLoader(
            ModelConfig config,
            Checkpoint checkpoint,
            NDManager manager,
            QuantizationConfig quantization) {
        this.config = config;
        this.checkpoint = checkpoint;
        this.manager = manager;
        this.quantization = quantization;
    }

    /**
     * Loads a model as its checkpoint has it, without balancing.
     *
     * @param directory the directory with config.json and safetensors files
     * @param quantization what to put on codes
     * @param manager owns the weights, which live until it is closed
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     * @throws IllegalArgumentException if {@code head=w4} is asked of a tied head with a simulated
     *     code, or a weight is NaN or infinite
     */
    public static CausalLm load(Path directory, QuantizationConfig quantization, NDManager manager)
            throws IOException, MalformedModelException {
        return load(directory, quantization, new long[0], manager);
    }

    /**
     * Loads a model, balancing channels for a calibration text before they are coded.
     *
     * <p>Where weights are coded and {@link QuantizationConfig#balance} is on, the text runs
     * through each float layer before that is balanced and coded. Of more than 1024 tokens, or more
     * than the model has positions, only the first are used.
     *
     * @param directory the directory with config.json and safetensors files
     * @param quantization what to put on codes
     * @param calibrationIds a text of a few hundred tokens; empty or null for no balancing
     * @param manager owns the weights, which live until it is closed
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     * @throws IllegalArgumentException if a token id is outside the vocabulary, {@code head=w4} is
     *     asked of a tied head with a simulated code, or a weight is NaN or infinite
     */
    public static CausalLm load(
            Path directory,
            QuantizationConfig quantization,
            long[] calibrationIds,
            NDManager manager)
            throws IOException, MalformedModelException {
        return load(directory, quantization, calibrationIds, manager, null);
    }

    /**
     * Loads a model as {@link #load(Path, QuantizationConfig, long[], NDManager)} does, and tells
     * how far it is.
     *
     * @param directory the directory with config.json and safetensors files
     * @param quantization what to put on codes
     * @param calibrationIds a text of a few hundred tokens; empty or null for no balancing
     * @param manager owns the weights, which live until it is closed
     * @param progress is told of each layer that is read from a float model; may be null
     * @return the model
     * @throws IOException if a file is missing or cannot be read
     * @throws MalformedModelException if the configuration or a tensor is not as it must be
     */
    public static CausalLm load(
            Path directory,
            QuantizationConfig quantization,
            long[] calibrationIds,
            NDManager manager,
            Progress progress)
            throws IOException, MalformedModelException {
        ModelConfig config = ModelConfig.load(directory);
        if (ContainerConfig.describes(directory)) {
            return loadCoded(directory, config, quantization, manager);
        }
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            return new CausalLmLoader(config, checkpoint, manager, quantization)
                    .build(quantization.needsText() ? calibrationIds : null, progress);
        }
    }

    /**
     * Tells what a model folder is loaded with unless told otherwise.
     *
     * @param directory the folder
     * @return what a quantised folder was written with; {@link QuantizationConfig#DEFAULT} for a
     *     float model
     * @throws IOException if the configuration cannot be read
     * @throws MalformedModelException if the configuration is not valid
     */
    public static QuantizationConfig defaultQuantization(Path directory)
            throws IOException, MalformedModelException {
        return ContainerConfig.describes(directory)
                ? stored(directory, ModelConfig.load(directory))
                : QuantizationConfig.DEFAULT;
    }

    /** Returns what a quantised folder was written with, after checking that it can be read. */
    private static QuantizationConfig stored(Path directory, ModelConfig config)
            throws IOException, MalformedModelException {
        ContainerConfig container = ContainerConfig.read(directory);
        try {
            QuantizationConfig stored = QuantizationConfig.parse(container.quantization());
            ContainerWriter.checkStorable(stored);
            container.require(
                    directory,
                    ContainerWriter.describe(config, stored, container.libraryVersion()));
            return stored;
        } catch (IllegalArgumentException e) {
            throw new CheckpointException(
                    directory
                            + ": quantization_config in config.json is not valid: "
                            + e.getMessage(),
                    e);
        }
    }

    private static CausalLm loadCoded(
            Path directory, ModelConfig config, QuantizationConfig asked, NDManager manager)
            throws IOException, MalformedModelException {
        QuantizationConfig stored = stored(directory, config);
        if (!asked.equals(stored.withActivationBits(asked.activationBits()))) {
            throw new IllegalArgumentException(
                    directory
                            + " is quantised with "
                            + stored
                            + " and cannot be loaded with "
                            + asked
                            + "; only the bits of activations (none, a4 or a8) can be chosen:"
                            + " leave the option out, or quantise the float model again");
        }
        Checkpoint checkpoint = Checkpoint.open(directory);
        try {
            CausalLm model = new PackedReader(config, checkpoint, asked).read(manager);
            // the weights are the file itself: it stays mapped as long as the model lives
            AutoCloseable mapping = checkpoint::unmap;
            manager.attachInternal("mapped weights " + UUID.randomUUID(), mapping);
            return model;
        } catch (MalformedModelException | RuntimeException e) {
            checkpoint.close();
            throw e;
        }
    }

    /**
     * Builds the model.
     *
     * @param calibrationIds the text to balance for, or null or empty for no balancing
     * @param progress is told of each layer; may be null
     */
    CausalLm build(long[] calibrationIds, Progress progress) throws MalformedModelException {
        LayerReader reader = new LayerReader(config, checkpoint);
        try (LayerCoder coder = new LayerCoder(reader, quantization, calibrationIds, manager)) {
            if (progress != null) {
                progress.reset("layers", config.layers());
            }
            Vocabulary embedding = coder.embedding(manager);
            List<Block> layers = new ArrayList<>();
            for (int i = 0; i < config.layers(); i++) {
                layers.add(coder.layer(i, manager));
                if (progress != null) {
                    progress.update(i + 1);
                }
            }
            LayerCoder.Output output = coder.output(manager);
            return new CausalLm(
                    config, quantization, embedding, layers, output.norm(), output.head());
        }
    }
}
