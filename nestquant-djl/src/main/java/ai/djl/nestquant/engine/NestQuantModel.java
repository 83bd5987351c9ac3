package ai.djl.nestquant.engine;

import ai.djl.BaseModel;
import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.nestquant.model.CausalLmLoader;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.util.Progress;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * {@code NestQuantModel} is a language model read from a HuggingFace directory.
 *
 * <p>Option {@code quantization} says what is coded, see {@link QuantizationConfig}; if absent it
 * is {@code w4a8}, or what a quantised directory was written with; {@code calibration} names a text
 * file to calibrate for. In Java, {@code progress} may hold a {@link Progress} that is told of each
 * layer. Closing the model frees all native memory of its weights. Predictors of one model may run
 * at the same time; {@code load} and {@code close} must not run beside anything else.
 */
public final class NestQuantModel extends BaseModel {

    /**
     * The name of the option that holds a {@link Progress}, told of each layer of a float model.
     */
    public static final String PROGRESS = "progress";

    /** What DJL itself and this model understand; other options are refused, not ignored. */
    private static final Set<String> OPTIONS =
            new TreeSet<>(
                    Set.of(
                            QuantizationConfig.OPTION,
                            CalibrationText.OPTION,
                            PROGRESS,
                            "modelName"));

    NestQuantModel(String name, NDManager manager) {
        super(name);
        this.manager = manager;
        manager.setName("NestQuant model " + name);
        dataType = DataType.FLOAT32;
    }

    /** {@inheritDoc} */
    @Override
    public void load(Path modelPath, String prefix, Map<String, ?> options)
            throws IOException, MalformedModelException {
        setModelDir(modelPath);
        if (!Files.isRegularFile(modelDir.resolve("config.json"))) {
            throw new FileNotFoundException(
                    modelDir.resolve("config.json")
                            + " does not exist: a HuggingFace model directory holds config.json,"
                            + " tokenizer.json and *.safetensors");
        }
        QuantizationConfig quantization = quantization(options);
        try {
            long[] calibrationIds =
                    CalibrationText.tokenIds(
                            modelDir, quantization, option(options, CalibrationText.OPTION));
            Object progress = options == null ? null : options.get(PROGRESS);
            if (progress != null && !(progress instanceof Progress)) {
                throw new IllegalArgumentException(
                        "option \"" + PROGRESS + "\" holds no " + Progress.class.getName());
            }
            block =
                    CausalLmLoader.load(
                            modelDir, quantization, calibrationIds, manager, (Progress) progress);
            wasLoaded = true;
        } finally {
            if (!wasLoaded) {
                close(); // half a model holds native memory that nobody could free
            }
        }
    }

    private QuantizationConfig quantization(Map<String, ?> options)
            throws IOException, MalformedModelException {
        if (options != null) {
            for (String key : options.keySet()) {
                if (!OPTIONS.contains(key)) {
                    throw new IllegalArgumentException(
                            "unknown option \"" + key + "\"; known are " + OPTIONS);
                }
            }
        }
        Object text = option(options, QuantizationConfig.OPTION);
        return text == null
                ? CausalLmLoader.defaultQuantization(modelDir)
                : QuantizationConfig.parse(text.toString());
    }

    private Object option(Map<String, ?> options, String key) {
        Object value = options == null ? null : options.get(key);
        // a model URL can only carry arguments, which DJL turns into properties
        return value == null ? getProperty(key) : value;
    }
}
