package ai.djl.nestquant.engine;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;

/**
 * {@code NestQuantEngine} loads HuggingFace language models and keeps their weights on lattice
 * codes.
 *
 * <p>Its arrays are those of the PyTorch engine, which computes everything that is not coded. Safe
 * for concurrent use.
 */
public final class NestQuantEngine extends Engine {

    /** The name to give to {@code Criteria.optEngine}. */
    public static final String ENGINE_NAME = "NestQuant";

    /** Behind every engine that DJL brings, so that it never becomes the default by itself. */
    static final int RANK = 20;

    private static final String HOST_ENGINE = "PyTorch";

    NestQuantEngine() {}

    private static Engine host() {
        return Engine.getEngine(HOST_ENGINE);
    }

    /** {@inheritDoc} */
    @Override
    public String getEngineName() {
        return ENGINE_NAME;
    }

    /** {@inheritDoc} */
    @Override
    public int getRank() {
        return RANK;
    }

    /** {@inheritDoc} */
    @Override
    public Engine getAlternativeEngine() {
        return null; // its arrays are the host engine's own, which lack nothing
    }

    /** {@inheritDoc} */
    @Override
    public String getVersion() {
        String version = NestQuantEngine.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }

    /** {@inheritDoc} */
    @Override
    public boolean hasCapability(String capability) {
        return host().hasCapability(capability);
    }

    /** {@inheritDoc} */
    @Override
    public Model newModel(String name, Device device) {
        return new NestQuantModel(name, newBaseManager(device));
    }

    /** {@inheritDoc} */
    @Override
    public NDManager newBaseManager() {
        return host().newBaseManager();
    }

    /** {@inheritDoc} */
    @Override
    public NDManager newBaseManager(Device device) {
        return host().newBaseManager(device);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return ENGINE_NAME + ':' + getVersion() + " over " + host();
    }
}
