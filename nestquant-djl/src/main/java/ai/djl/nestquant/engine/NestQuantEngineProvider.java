package ai.djl.nestquant.engine;

import ai.djl.engine.Engine;
import ai.djl.engine.EngineProvider;

/**
 * {@code NestQuantEngineProvider} registers {@link NestQuantEngine} with DJL.
 *
 * <p>Safe for concurrent use.
 */
public final class NestQuantEngineProvider implements EngineProvider {

    /** {@inheritDoc} */
    @Override
    public String getEngineName() {
        return NestQuantEngine.ENGINE_NAME;
    }

    /** {@inheritDoc} */
    @Override
    public int getEngineRank() {
        return NestQuantEngine.RANK;
    }

    /** {@inheritDoc} */
    @Override
    public Engine getEngine() {
        return InstanceHolder.INSTANCE;
    }

    private static final class InstanceHolder {
        static final Engine INSTANCE = new NestQuantEngine();
    }
}
