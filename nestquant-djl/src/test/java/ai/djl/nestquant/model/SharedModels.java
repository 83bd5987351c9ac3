package ai.djl.nestquant.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.LongStream;
import org.testng.SkipException;

/** Small models that lie beside the project, and passes through them. */
final class SharedModels {

    private static final Path SHARED =
            Path.of(System.getProperty("nestquant.shared", "../shared")).toAbsolutePath();

    private SharedModels() {}

    /** Returns a model's directory; skips the test without it. */
    static Path model(String name) {
        Path directory = SHARED.resolve(name);
        if (!Files.isDirectory(directory)) {
            throw new SkipException("the model is missing: " + directory);
        }
        return directory;
    }

    static NDManager newManager() {
        return Engine.getEngine("PyTorch").newBaseManager(Device.cpu());
    }

    static CausalLm load(String name, String quantization, NDManager manager) throws Exception {
        return CausalLmLoader.load(model(name), QuantizationConfig.parse(quantization), manager);
    }

    /** Returns the logits at all positions, {@code [tokens · vocabulary]}. */
    static float[] logits(CausalLm model, NDManager manager, long[] ids, KvCache cache) {
        NDArray input = manager.create(ids, new Shape(1, ids.length));
        return model.logits(new ParameterStore(manager, false), input, cache, false).toFloatArray();
    }

    /** Returns tokens that every one of the vocabularies has. */
    static long[] ids(int count) {
        return LongStream.range(0, count).map(i -> 3 + i * 37 % 190).toArray();
    }
}
