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
 * Runs a calibration text through a model one layer at a time, while each layer goes from floats to
 * codes.
 *
 * <p>For plain rounding a text of up to {@value #WINDOW} tokens passes through the float layers,
 * and its mean squares balance them. For rounding with feedback up to {@value #MOST_WINDOWS}
 * windows, spread evenly over the text, pass twice through each layer: balanced (for which the
 * first of them has passed), for the moments of its inputs; and coded, for what the next layer will
 * read.
 *
 * <p>Holds the hidden states of the text, {@code [windows][tokens][hidden]} floats (38 MB for 16
 * windows and 576 channels), and nothing of the layers that it has seen. Not safe for concurrent
 * use; closing it frees the hidden states.
 */
final class CalibrationPass implements AutoCloseable {

    /** Tokens of a window; attention's memory grows with their square. */
    private static final int WINDOW = 1024;

    /** Mean squares hardly change with more than one window; feedback gains from more. */
    private static final int MOST_WINDOWS = 16;

    private final ModelConfig config;
    private final QuantizationConfig quantization;
    private final NDManager manager;
    private final ParameterStore store;
    private final RotaryEmbedding rotary;
    private final Pass pass;
    private final int tokens;
    private final NDArray[] hidden;

    /**
     * Begins at the embedding.
     *
     * @param reader reads the float model
     * @param quantization what becomes of the layers
     * @param tokenIds the text, cut into windows of 1024 tokens, or of as many as the model has
     *     positions; what is left at the end is left out
     * @param parent the parent of the memory of the hidden states
     * @throws IllegalArgumentException if a token id is outside the vocabulary
     */
    CalibrationPass(
            LayerReader reader, QuantizationConfig quantization, long[] tokenIds, NDManager parent)
            throws MalformedModelException {
        config = reader.config;
        this.quantization = quantization;
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
        tokens = Math.min(tokenIds.length, Math.min(WINDOW, config.maxPositions()));
        manager = parent.newSubManager();
        manager.setName("calibration");
        store = new ParameterStore(manager, false);
        rotary = new RotaryEmbedding(config);
        pass = new Pass(manager, rotary, null, tokens, null);
        int whole = tokenIds.length / tokens;
        hidden = new NDArray[quantization.calibrates() ? Math.min(MOST_WINDOWS, whole) : 1];
        for (int i = 0; i < hidden.length; i++) {
            int start = (int) ((long) i * whole / hidden.length) * tokens;
            long[] window = Arrays.copyOfRange(tokenIds, start, start + tokens);
            hidden[i] = reader.embed(window, manager);
        }
    }

    /**
     * Runs the text through the next layer, balances and codes it.
     *
     * @param name the layer's name, against which exclusions are matched
     * @param layer the layer; consumed
     * @param transformer codes it
     * @return the coded layer
     * @throws IllegalArgumentException if a weight or an input is NaN or infinite, or a Hessian
     *     does not factor
     */
    Block transform(String name, DecoderLayer layer, BlockTransformer transformer) {
        boolean calibrates = quantization.calibrates();
        if (quantization.balance() || !calibrates) {
            InputStatistics statistics = new InputStatistics();
            run(layer, statistics, 1, !calibrates);
            new Balancer(config, statistics).balanceLayer(name, layer);
        }
        if (!calibrates) {
            return transformer.transform(name, layer);
        }
        if (layer.attention instanceof RotaryAttention attention
                && quantization.codesCache(attention.layer)) {
            NestQuantAttention.foldValues(attention, quantization);
        }
        try (InputHessians hessians = new InputHessians(quantization, manager)) {
            run(layer, hessians, hidden.length, false);
            Block coded = transformer.transform(name, layer, hessians);
            passCoded(coded);
            return coded;
        }
    }

    /** Runs the text through a float layer that nobody codes. */
    void pass(DecoderLayer layer) {
        run(layer, new InputStatistics(), hidden.length, true);
    }

    /** Runs windows through a float layer, whose outputs take their place if that is asked. */
    private void run(Block layer, InputObserver observer, int windows, boolean advance) {
        PairList<String, Object> params = pass.asParams();
        params.add(InputObserver.KEY, observer);
        for (int i = 0; i < windows; i++) {
            NDArray next = Blocks.apply(layer, store, hidden[i], params);
            if (advance) {
                hidden[i].close();
                hidden[i] = next;
            } else {
                next.close();
            }
        }
    }

    /**
     * Runs all windows through a coded layer, with coded keys and values where the model has them.
     */
    void passCoded(Block coded) {
        for (int i = 0; i < hidden.length; i++) {
            try (NDManager scope = manager.newSubManager();
                    KvCache cache = CausalLm.newCache(quantization, config, scope, tokens)) {
                cache.reserve(tokens);
                Pass caching = new Pass(scope, rotary, cache, tokens, null);
                NDArray next = Blocks.apply(coded, store, hidden[i], caching.asParams());
                next.attach(manager);
                hidden[i].close();
                hidden[i] = next;
            }
        }
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
        if (!quantization.balance() && quantization.calibrates()) {
            return;
        }
        InputStatistics statistics = new InputStatistics();
        observeHead(norm, head, statistics);
        new Balancer(config, statistics).balanceHead(name, norm, head);
    }

    /** Codes the head as layers are coded. */
    Block transformHead(String name, Block norm, Block head, BlockTransformer transformer) {
        try (InputHessians hessians = new InputHessians(quantization, manager)) {
            if (quantization.calibrates()) {
                observeHead(norm, head, hessians);
            }
            return transformer.transform(name, head, hessians);
        }
    }

    /** The head itself need not run: its logits would be far larger than all hidden states. */
    private void observeHead(Block norm, Block head, InputObserver observer) {
        for (NDArray window : hidden) {
            try (NDArray normed = Blocks.apply(norm, store, window, null)) {
                observer.add(normed, head);
            }
        }
    }

    /** Frees the hidden states. */
    @Override
    public void close() {
        manager.close();
    }
}
