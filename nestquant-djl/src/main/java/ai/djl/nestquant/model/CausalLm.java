package ai.djl.nestquant.model;

import ai.djl.inference.streaming.StreamingBlock;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.IntStream;

/**
 * A decoder language model: embedding, decoder layers, final norm and output head.
 *
 * <p>As a DJL block it maps token ids {@code [batch][tokens]} (int64), optionally followed by an
 * attention mask {@code [batch][tokens]} with 0 for padding, to logits {@code
 * [batch][tokens][vocabulary]}. Generation uses {@link #logits} with a {@link KvCache}. Stateless
 * after construction: any number of threads may run passes, each with a cache of its own.
 */
public final class CausalLm extends AbstractBlock implements StreamingBlock {

    /** Tokens of a pass: masks, attention and inner vectors of more would take too much memory. */
    static final int PASS_TOKENS = 512;

    private final ModelConfig config;
    private final QuantizationConfig quantization;
    private final RotaryEmbedding rotary;
    private final Vocabulary embedding;
    private final List<Block> layers;

    /** The layers that run in one call; if those are all, a pass is one call. */
    private final List<FusedLayer> fused = new ArrayList<>();

    private final Block norm;
    private final Block head;

    /** Norm and head for the last token of a pass, in the same call; or null. */
    private final FusedHead fusedHead;

    /**
     * Constructs the model from its parts.
     *
     * @param config the configuration
     * @param quantization what is coded; decides the kind of cache
     * @param embedding the embedding {@code [vocabulary][hidden]}; owned by the block from now on
     * @param layers the decoder layers, first to last
     * @param norm the final norm
     * @param head hidden to vocabulary, or null where the head shares the embedding's weights
     */
    public CausalLm(
            ModelConfig config,
            QuantizationConfig quantization,
            NDArray embedding,
            List<Block> layers,
            Block norm,
            Block head) {
        this(config, quantization, new FloatVocabulary(embedding), layers, norm, head);
    }

    /**
     * Constructs the model from its parts.
     *
     * @param embedding the embedding, coded or not
     * @param head hidden to vocabulary, or null where the embedding is the head too
     */
    @SuppressWarnings("this-escape")
    CausalLm(
            ModelConfig config,
            QuantizationConfig quantization,
            Vocabulary embedding,
            List<Block> layers,
            Block norm,
            Block head) {
        this.config = config;
        this.quantization = quantization;
        this.layers = List.copyOf(layers);
        this.norm = norm;
        this.head = head == null ? embedding : head;
        rotary = new RotaryEmbedding(config);
        this.embedding = addChildBlock("embed_tokens", embedding);
        for (int i = 0; i < layers.size(); i++) {
            addChildBlock("layer" + i, layers.get(i));
            if (layers.get(i) instanceof DecoderLayer layer && layer.fused() != null) {
                fused.add(layer.fused());
            }
        }
        addChildBlock("norm", norm);
        if (head != null) {
            addChildBlock("lm_head", head);
        }
        fusedHead = FusedHead.of(norm, this.head);
        inputShapes = new Shape[] {new Shape(-1, -1)};
        inputNames = List.of("input_ids");
    }

    /**
     * Returns the configuration.
     *
     * @return the configuration
     */
    public ModelConfig config() {
        return config;
    }

    /**
     * Returns what is coded.
     *
     * @return the quantization
     */
    public QuantizationConfig quantization() {
        return quantization;
    }

    /**
     * Makes an empty cache of the kind that this model's attention blocks use.
     *
     * @param manager the parent of the cache's memory
     * @param maxTokens the most tokens it may hold
     * @return the cache; to be closed by the caller
     */
    public KvCache newCache(NDManager manager, int maxTokens) {
        return newCache(quantization, config, manager, maxTokens);
    }

    /** Makes an empty cache for the layers of a model that is not complete yet. */
    static KvCache newCache(
            QuantizationConfig quantization, ModelConfig config, NDManager manager, int maxTokens) {
        if (!quantization.packsCache()) {
            return new FloatKvCache(manager, config.layers(), maxTokens);
        }
        BitSet coded = new BitSet();
        IntStream.range(0, config.layers()).filter(quantization::codesCache).forEach(coded::set);
        return coded.cardinality() == config.layers()
                ? new NestQuantKvCache(manager, config.layers(), maxTokens)
                : new MixedKvCache(manager, coded, config.layers(), maxTokens);
    }

    /**
     * Returns what a token takes in the cache that {@link #newCache} makes: {@code 2 · layers ·
     * kvHeads} head vectors. Room that a cache allocates ahead is not counted.
     *
     * @return bytes per token of one sequence
     */
    public double cacheBytesPerToken() {
        double bytes = 0;
        for (int layer = 0; layer < config.layers(); layer++) {
            bytes +=
                    quantization.packsCache() && quantization.codesCache(layer)
                            ? NestQuantKvCache.bytesPerVector(config.headSize())
                            : FloatKvCache.bytesPerVector(config.headSize());
        }
        return 2.0 * config.kvHeads() * bytes;
    }

    /**
     * Returns the bits of an entry of a key or value in the cache, scales included.
     *
     * @return bits per entry; of a simulated code those that it would take
     */
    public double cacheBitsPerEntry() {
        SimulatedCode simulated = SimulatedCode.of(quantization);
        if (simulated != null && quantization.cacheBits() > 0) {
            return simulated.bitsPerEntry(config.headSize());
        }
        double entries = 2.0 * config.layers() * config.kvHeads() * config.headSize();
        return cacheBytesPerToken() * Byte.SIZE / entries;
    }

    /**
     * Runs tokens through the model, appending their keys and values to a cache.
     *
     * @param store where parameters are taken from
     * @param ids token ids, {@code [batch][tokens]}, int64
     * @param cache what came before; may be null for a single pass
     * @param lastOnly true to compute the logits of the last token only
     * @return logits {@code [batch][tokens or 1][vocabulary]}, attached to the manager of {@code
     *     ids}
     * @throws IllegalStateException if the tokens exceed the cache's maximum
     */
    public NDArray logits(ParameterStore store, NDArray ids, KvCache cache, boolean lastOnly) {
        return logits(store, ids, null, cache, lastOnly);
    }

    /**
     * Runs padded sequences through the model.
     *
     * @param store where parameters are taken from
     * @param ids token ids, {@code [batch][tokens]}, int64
     * @param attentionMask {@code [batch][cached + new tokens]}, 0 for padding; null for none
     * @param cache what came before; may be null for a single pass
     * @param lastOnly true to compute the logits of the last token only
     * @return logits {@code [batch][tokens or 1][vocabulary]}
     */
    public NDArray logits(
            ParameterStore store,
            NDArray ids,
            long[][] attentionMask,
            KvCache cache,
            boolean lastOnly) {
        int tokens = checkedTokens(ids);
        boolean needsCache = quantization.packsCache() || quantization.weightBits() > 0;
        if (cache == null && (needsCache || tokens > PASS_TOKENS)) {
            // keys and values are coded in a single pass too, and fused layers need a cache
            try (KvCache passing = newCache(ids.getManager(), tokens)) {
                return logits(store, ids, attentionMask, passing, lastOnly);
            }
        }
        if (cache == null || tokens <= PASS_TOKENS) {
            if (cache != null) {
                cache.reserve(tokens);
            }
            return pass(store, ids, attentionMask, cache, lastOnly);
        }
        cache.reserve(tokens);
        return longLogits(store, ids, attentionMask, cache, lastOnly);
    }

    /** A long prompt in passes of {@link #PASS_TOKENS}, which bounds the memory it takes. */
    private NDArray longLogits(
            ParameterStore store,
            NDArray ids,
            long[][] attentionMask,
            KvCache cache,
            boolean lastOnly) {
        long batch = ids.getShape().get(0);
        int tokens = Math.toIntExact(ids.getShape().get(1));
        if (attentionMask != null) {
            Pass.checkMask(attentionMask, cache.length() + tokens);
        }
        try (NDManager scope = NDManager.subManagerOf(ids)) {
            NDArray all =
                    scope.create(new Shape(batch, lastOnly ? 1 : tokens, config.vocabularySize()));
            for (int from = 0; from < tokens; from += PASS_TOKENS) {
                int to = Math.min(tokens, from + PASS_TOKENS);
                long[][] mask =
                        attentionMask == null ? null : head(attentionMask, cache, to - from);
                try (NDArray piece = ids.get(tokens(from, to));
                        NDArray part = pass(store, piece, mask, cache, lastOnly)) {
                    if (!lastOnly || to == tokens) {
                        all.set(lastOnly ? tokens(0, 1) : tokens(from, to), part);
                    }
                }
            }
            return scope.ret(all);
        }
    }

    /** The mask's columns up to the tokens of a pass. */
    private static long[][] head(long[][] attentionMask, KvCache cache, int tokens) {
        return Arrays.stream(attentionMask)
                .map(row -> Arrays.copyOf(row, cache.length() + tokens))
                .toArray(long[][]::new);
    }

    private static NDIndex tokens(int from, int to) {
        return new NDIndex().addAllDim().addSliceDim(from, to);
    }

    private NDArray pass(
            ParameterStore store,
            NDArray ids,
            long[][] attentionMask,
            KvCache cache,
            boolean lastOnly) {
        int tokens = Math.toIntExact(ids.getShape().get(1));
        try (NDManager scope = NDManager.subManagerOf(ids)) {
            scope.tempAttachAll(ids);
            Pass pass = new Pass(scope, rotary, cache, tokens, attentionMask);
            PairList<String, Object> params = pass.asParams();
            NDArray x = embedding.embed(store, ids);
            NDArray h = x;
            boolean fuses =
                    fused.size() == layers.size() && fused.stream().allMatch(l -> l.takes(pass, x));
            FusedHead last = fuses && (lastOnly || tokens == 1) ? fusedHead : null;
            if (fuses) {
                h = FusedLayer.run(fused, last, pass, x);
            } else {
                for (Block layer : layers) {
                    NDArray next = Blocks.apply(layer, store, h, params);
                    h.close();
                    h = next;
                }
            }
            if (cache != null) {
                cache.advance(tokens);
            }
            if (last != null) {
                return scope.ret(h);
            }
            if (lastOnly && tokens > 1) {
                h = h.get(tokens(tokens - 1, tokens).addAllDim());
            }
            h = Blocks.apply(norm, store, h, params);
            return scope.ret(Blocks.apply(head, store, h, params));
        }
    }

    private int checkedTokens(NDArray ids) {
        Shape shape = ids.getShape();
        if (shape.dimension() != 2 || shape.size() == 0) {
            throw new IllegalArgumentException(
                    "token ids must have the shape [batch][tokens] and not be empty, but are "
                            + shape);
        }
        for (long id : ids.toLongArray()) {
            if (id < 0 || id >= config.vocabularySize()) {
                throw new IllegalArgumentException(
                        "token id "
                                + id
                                + " is outside the model's vocabulary of "
                                + config.vocabularySize());
            }
        }
        return Math.toIntExact(shape.get(1));
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        long[][] mask = inputs.size() < 2 ? null : rows(inputs.get(1));
        return new NDList(logits(store, inputs.get(0), mask, null, false));
    }

    private static long[][] rows(NDArray matrix) {
        long[] flat = matrix.toLongArray();
        int width = Math.toIntExact(matrix.getShape().get(1));
        long[][] rows = new long[flat.length / width][width];
        for (int i = 0; i < flat.length; i++) {
            rows[i / width][i % width] = flat[i];
        }
        return rows;
    }

    /**
     * Continues a sequence greedily, one token for each call of {@code next}.
     *
     * <p>Ends when the model's positions are used up; closing the manager of the inputs frees the
     * cache.
     */
    @Override
    public Iterator<NDList> forwardStreamIter(
            ParameterStore store,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        if (inputs.isEmpty()) {
            return Collections.emptyIterator(); // as predict does with an empty list
        }
        NDArray prompt = inputs.head();
        KvCache cache = newCache(prompt.getManager(), config.maxPositions());
        return new Iterator<>() {
            private NDArray ids = prompt;

            @Override
            public boolean hasNext() {
                return cache.length() + ids.getShape().get(1) <= cache.maxTokens();
            }

            @Override
            public NDList next() {
                if (!hasNext()) {
                    throw new NoSuchElementException("all positions of the model are used up");
                }
                try (NDArray logits = logits(store, ids, cache, true)) {
                    ids = logits.argMax(-1);
                    ids.attach(prompt.getManager());
                    return new NDList(ids);
                }
            }
        };
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return new Shape[] {inputShapes[0].add(config.vocabularySize())};
    }
}
