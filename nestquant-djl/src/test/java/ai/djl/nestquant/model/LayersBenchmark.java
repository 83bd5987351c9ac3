package ai.djl.nestquant.model;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.training.ParameterStore;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One token through two decoder layers of Llama-3.2-1B's sizes, and a small vocabulary: the
 * difference between depths is attention.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class LayersBenchmark {

    private static final int CHUNK = 512;
    private static final int STEPS = 32;

    /** What is coded. */
    @Param({"w4a8", "w4a8kv4", "w3a8"})
    public String quantization;

    /** Tokens in the cache. */
    @Param({"0", "1024", "4096"})
    public int depth;

    private NDManager manager;
    private CausalLm model;
    private KvCache filled;
    private KvCache cache;

    /** Makes the model and fills the cache. */
    @Setup
    public void fill() {
        manager = Engine.getEngine("PyTorch").newBaseManager();
        ModelConfig config = RandomWeightsTest.config(2, 2048, 8192, 32, 8, 64, 1024, 8192, true);
        model = RandomWeights.model(config, QuantizationConfig.parse(quantization), manager);
        filled = model.newCache(manager, depth + STEPS);
        for (int from = 0; from < depth; from += CHUNK) {
            pass(filled, new long[Math.min(CHUNK, depth - from)]);
        }
    }

    /** Goes back to the depth; 32 steps are long enough to be timed without this. */
    @Setup(Level.Invocation)
    public void fork() {
        if (cache != null) {
            cache.close();
        }
        cache = filled.fork(manager);
    }

    /** Frees everything. */
    @TearDown
    public void close() {
        manager.close();
    }

    /** Some tokens, one by one. */
    @Benchmark
    @OperationsPerInvocation(STEPS)
    public int step() {
        for (int i = 0; i < STEPS; i++) {
            pass(cache, new long[1]);
        }
        return cache.length();
    }

    private void pass(KvCache into, long[] ids) {
        try (NDManager scope = manager.newSubManager()) {
            NDArray input = scope.create(ids, new Shape(1, ids.length));
            model.logits(new ParameterStore(scope, false), input, into, true);
        }
    }
}
