package ai.djl.nestquant.pipeline;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.engine.NestQuantEngine;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.model.RandomWeights;
import java.util.function.IntConsumer;

/**
 * A model of random weights, to measure the speed of a model that is not at hand.
 *
 * <p>Not safe for concurrent use.
 */
public final class SyntheticModel implements AutoCloseable {

    private final ModelShape shape;
    private final NDManager manager;
    private final CausalLm block;

    private SyntheticModel(ModelShape shape, NDManager manager, CausalLm block) {
        this.shape = shape;
        this.manager = manager;
        this.block = block;
    }

    /**
     * Makes a model.
     *
     * @param shape its sizes
     * @param quantization what is coded
     * @return the model, to be closed by the caller
     * @throws IllegalArgumentException if there are no such weights, see {@link RandomWeights}
     * @throws IllegalStateException if the memory that is free does not hold them
     */
    public static SyntheticModel open(ModelShape shape, QuantizationConfig quantization) {
        ProcessMemory.require(
                RandomWeights.bytes(shape.config(), quantization),
                String.format("weights of %s with quantization %s", shape, quantization));
        NDManager manager = Engine.getEngine(NestQuantEngine.ENGINE_NAME).newBaseManager();
        try {
            CausalLm block = RandomWeights.model(shape.config(), quantization, manager);
            return new SyntheticModel(shape, manager, block);
        } catch (RuntimeException | Error e) {
            manager.close();
            throw e;
        }
    }

    /**
     * Measures the model's speed, see {@link LanguageModel#speed}.
     *
     * @param tests what to measure
     * @param onRun takes the number of timed runs done, after each
     * @return tokens per second
     */
    public SpeedReport speed(SpeedTests tests, IntConsumer onRun) {
        return new SpeedStudy(block, manager, tests)
                .run(shape.toString(), LanguageModel.kernels(block), onRun);
    }

    /** Frees the weights. */
    @Override
    public void close() {
        manager.close();
    }
}
