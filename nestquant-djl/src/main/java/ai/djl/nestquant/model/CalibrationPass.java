package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.Arrays;

/**
 * Runs a text through a float model one layer at a time and balances each layer on the way.
 *
 * <p>Holds the hidden states of the text, {@code [1][tokens][hidden]}, and nothing of the layers
 * that it has seen. Not safe for concurrent use; closing it frees the hidden states.
 */
final class CalibrationPass implements AutoCloseable {

    /** More tokens cost time and attention's memory, and hardly change mean squares. */
    private static final int MOST_TOKENS = 1024;

    private final ModelConfig config;
    private final NDManager manager;
    private final ParameterStore store;
    private final Pass pass;
    private NDArray hidden;

    /**
     * Begins at the embedding.
     *
     * @param reader reads the float model
     * @param tokenIds the text; what exceeds 1024 tokens or the model's positions is left out
     * @param parent the parent of the memory of the hidden states
     * @throws IllegalArgumentException if a token id is outside the vocabulary
     */
    CalibrationPass(LayerReader reader, long[] tokenIds, NDManager parent)
            throws MalformedModelException {
        config = reader.config;
        for (long id : tokenIds) {
            if (id < 0 || id >= config.vocabularySize()) {
                throw new IllegalArgumentException(
                        "token id "
                                + id
                                + " of the calibration text is outside the model's vocabulary of "
                                + config.vocabularySize()
                                + "; does tokenizer.json belong to this model?");
            }
        }
        int tokens = Math.min(tokenIds.length, Math.min(MOST_TOKENS, config.maxPositions()));
        manager = parent.newSubManager();
        manager.setName("calibration");
        store = new ParameterStore(manager, false);
        pass = new Pass(manager, new RotaryEmbedding(config), null, tokens, null);
        hidden = reader.embed(Arrays.copyOf(tokenIds, tokens), manager);
    }

    /**
     * Runs the text through the next layer, then balances it.
     *
     * @param name the layer's name, for error messages
     * @param layer the layer; its weights are changed
     * @throws IllegalArgumentException if a weight or an input is NaN or infinite
     */
    void balanceLayer(String name, DecoderLayer layer) {
        InputStatistics statistics = new InputStatistics();
        PairList<String, Object> params = pass.asParams();
        params.add(InputStatistics.KEY, statistics);
        NDArray next = Blocks.apply(layer, store, hidden, params);
        hidden.close();
        hidden = next;
        new Balancer(config, statistics).balanceLayer(name, layer);
    }

    /**
     * Balances the input of an output head of its own after the last layer.
     *
     * @param name the head's name, for error messages
     * @param norm the final norm; its weight is changed
     * @param head the head; its weight is changed
     * @throws IllegalArgumentException if a weight or an input is NaN or infinite
     */
    void balanceHead(String name, Block norm, Block head) {
        InputStatistics statistics = new InputStatistics();
        // the head itself need not run: its logits would be far larger than all hidden states
        try (NDArray normed = Blocks.apply(norm, store, hidden, null)) {
            statistics.add(head, normed);
        }
        new Balancer(config, statistics).balanceHead(name, norm, head);
    }

    /** Frees the hidden states. */
    @Override
    public void close() {
        manager.close();
    }
}
