package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.KvCache;
import ai.djl.nestquant.model.WeightSummary;
import ai.djl.nestquant.pipeline.SpeedTests.SpeedTest;
import ai.djl.training.ParameterStore;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.LongStream;

/**
 * Measures how fast a model reads prompts and generates, and how fast its threads read memory.
 *
 * <p>As llama-bench does, tokens are made up and nothing is sampled: a repetition is one pass over
 * a prompt, or one pass for each token, with the logits of the last token. Not safe for concurrent
 * use; nothing else should run meanwhile.
 */
final class SpeedStudy {

    /** Each test runs at least once before it is timed, and for so long. */
    private static final long WARM_UP_NANOS = 500_000_000L;

    /** Tokens of a pass that fills the cache. */
    private static final int CHUNK = 512;

    /** Larger than a processor's caches. */
    private static final int MEMORY_BYTES = 256 << 20;

    private static final int MEMORY_PASSES = 8;

    private final CausalLm model;
    private final NDManager manager;
    private final SpeedTests tests;

    SpeedStudy(CausalLm model, NDManager manager, SpeedTests tests) {
        this.model = model;
        this.manager = manager;
        this.tests = tests;
    }

    SpeedReport run(String name, String kernels, IntConsumer onRun) {
        double bandwidth = bandwidth();
        List<SpeedReport.Row> rows = new ArrayList<>();
        for (SpeedTest test : tests.all()) {
            int done = rows.size() * tests.repetitions();
            List<Double> samples = samples(test, i -> onRun.accept(done + i));
            rows.add(SpeedReport.Row.of(test.name(), Kernels.best().threads(), samples));
        }
        WeightSummary weights = WeightSummary.of(model);
        return new SpeedReport(
                name,
                model.quantization().toString(),
                weights.bitsPerWeight(),
                weights.weightBytes(),
                kernels,
                Math.max(bandwidth, bandwidth()),
                rows);
    }

    /** Returns the best of some passes, 10^9 bytes per second. */
    private double bandwidth() {
        double best = 0;
        try (NDArray array = manager.create(new Shape(MEMORY_BYTES), DataType.UINT8)) {
            ByteBuffer memory = array.toByteBuffer(true);
            Kernels.best().clear(memory);
            for (int i = 0; i < MEMORY_PASSES; i++) {
                long start = System.nanoTime();
                Kernels.best().sumWords(memory);
                best = Math.max(best, memory.capacity() / (double) (System.nanoTime() - start));
            }
        }
        return best;
    }

    private List<Double> samples(SpeedTest test, IntConsumer onRun) {
        List<Double> samples = new ArrayList<>();
        int maxTokens = test.depth() + test.tokens();
        try (NDManager scope = manager.newSubManager();
                KvCache before = model.newCache(scope, maxTokens)) {
            for (int from = 0; from < test.depth(); from += CHUNK) {
                pass(scope, before, from, Math.min(CHUNK, test.depth() - from));
            }
            long start = System.nanoTime();
            do {
                nanos(scope, before, test);
            } while (System.nanoTime() - start < WARM_UP_NANOS);
            for (int i = 1; i <= tests.repetitions(); i++) {
                samples.add(1e9 * test.tokens() / nanos(scope, before, test));
                onRun.accept(i);
            }
        }
        return samples;
    }

    /** Times one repetition, which goes on from a copy of the cache. */
    private long nanos(NDManager scope, KvCache before, SpeedTest test) {
        try (KvCache cache = before.fork(scope)) {
            long start = System.nanoTime();
            if (test.prompt()) {
                pass(scope, cache, test.depth(), test.tokens());
            } else {
                for (int i = 0; i < test.tokens(); i++) {
                    pass(scope, cache, test.depth() + i, 1);
                }
            }
            return System.nanoTime() - start;
        }
    }

    private void pass(NDManager parent, KvCache cache, int from, int tokens) {
        try (NDManager scope = parent.newSubManager()) {
            NDArray ids = scope.create(tokens(from, tokens), new Shape(1, tokens));
            model.logits(new ParameterStore(scope, false), ids, cache, true);
        }
    }

    /** Makes up tokens of the vocabulary, spread over it. */
    private long[] tokens(int from, int count) {
        long size = model.config().vocabularySize();
        return LongStream.range(from, from + count).map(i -> i * 7919 % size).toArray();
    }
}
