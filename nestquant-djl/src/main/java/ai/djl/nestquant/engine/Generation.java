package ai.djl.nestquant.engine;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.KvCache;
import ai.djl.training.ParameterStore;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The state of one text: its cache, its sampler and its tokens.
 *
 * <p>Belongs to one thread, except {@link #cancel}.
 */
final class Generation implements AutoCloseable {

    /** Prompts are read in chunks, which bounds the memory of attention. */
    private static final int PREFILL_CHUNK = 512;

    private static final int NO_TOKEN = -1;

    private final CausalLm model;
    private final GenerationParameters parameters;
    private final long[] prompt;
    private final NDManager manager;
    private final Runnable onClose;
    private final ParameterStore store;
    private final KvCache cache;
    private final Sampler sampler;
    private final TokenStream stream;
    private final List<Integer> tokenIds = new ArrayList<>();
    private FinishReason finishReason;
    private volatile boolean cancelled;
    private boolean closed;
    private long prefillNanos;
    private long stepNanos;

    Generation(
            CausalLm model,
            HuggingFaceTokenizer tokenizer,
            GenerationParameters parameters,
            long[] prompt,
            NDManager parent,
            Runnable onClose) {
        this.model = model;
        this.parameters = parameters;
        this.prompt = prompt;
        this.onClose = onClose;
        int positions = model.config().maxPositions();
        if (prompt.length == 0) {
            throw new IllegalArgumentException(
                    "the prompt has no tokens: give at least one character");
        }
        if (prompt.length >= positions) {
            throw new IllegalArgumentException(
                    "the prompt has "
                            + prompt.length
                            + " tokens, but the model has "
                            + positions
                            + " positions for prompt and answer together; shorten the prompt");
        }
        long wanted = (long) prompt.length + parameters.maxNewTokens();
        manager = parent.newSubManager();
        cache = model.newCache(manager, (int) Math.min(positions, wanted));
        store = new ParameterStore(manager, false);
        sampler = new Sampler(parameters);
        sampler.accept(prompt);
        stream = new TokenStream(tokenizer, parameters.stopStrings(), prompt);
    }

    /** Computes one token; returns the text that is certain now, which may be empty. */
    String advance() {
        if (isFinished()) {
            throw new IllegalStateException("the text has ended: " + finishReason);
        }
        if (cancelled) {
            return finish(FinishReason.CANCELLED);
        }
        int token = tokenIds.isEmpty() ? prefill() : step();
        if (cancelled) {
            return finish(FinishReason.CANCELLED); // perhaps in the middle of the prompt
        }
        tokenIds.add(token);
        if (parameters.isEnd(token)) {
            return finish(FinishReason.STOP);
        }
        String piece = stream.accept(token);
        if (stream.isStopped()) {
            finishReason = FinishReason.STOP;
            release();
        } else if (tokenIds.size() >= parameters.maxNewTokens()
                || cache.length() >= cache.maxTokens()) {
            return piece + finish(FinishReason.LENGTH);
        }
        return piece;
    }

    private int prefill() {
        long start = System.nanoTime();
        float[] logits = null;
        for (int from = 0; from < prompt.length && !cancelled; from += PREFILL_CHUNK) {
            int to = Math.min(prompt.length, from + PREFILL_CHUNK);
            logits = logits(Arrays.copyOfRange(prompt, from, to));
        }
        int token = cancelled ? NO_TOKEN : sampler.next(logits);
        prefillNanos = System.nanoTime() - start;
        return token;
    }

    private int step() {
        long start = System.nanoTime();
        int token = sampler.next(logits(tokenIds.get(tokenIds.size() - 1)));
        stepNanos += System.nanoTime() - start;
        return token;
    }

    private float[] logits(long... ids) {
        try (NDManager scope = manager.newSubManager()) {
            NDArray input = scope.create(ids, new Shape(1, ids.length));
            return model.logits(store, input, cache, true).toFloatArray();
        }
    }

    private String finish(FinishReason reason) {
        finishReason = reason;
        release();
        return stream.flush();
    }

    /** Frees the cache as soon as the text is complete: results may be kept for long. */
    private void release() {
        cache.close();
        manager.close();
    }

    boolean isFinished() {
        return finishReason != null;
    }

    void cancel() {
        cancelled = true;
    }

    FinishReason finishReason() {
        return finishReason;
    }

    List<Integer> tokenIds() {
        return List.copyOf(tokenIds);
    }

    int promptTokens() {
        return prompt.length;
    }

    double prefillTokensPerSecond() {
        return prefillNanos == 0 ? 0 : prompt.length * 1e9 / prefillNanos;
    }

    double stepTokensPerSecond() {
        return stepNanos == 0 ? 0 : (tokenIds.size() - 1) * 1e9 / stepNanos;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (!isFinished()) {
            finishReason = FinishReason.CANCELLED;
        }
        release();
        onClose.run();
    }
}
