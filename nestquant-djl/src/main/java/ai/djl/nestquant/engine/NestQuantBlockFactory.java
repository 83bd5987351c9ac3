package ai.djl.nestquant.engine;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.nestquant.model.CausalLmLoader;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nn.Block;
import ai.djl.nn.BlockFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Builds a quantised model for the PyTorch engine, for those who do not want another engine name.
 *
 * <pre>{@code
 * Criteria.builder()
 *     .setTypes(String.class, String.class)
 *     .optEngine("PyTorch")
 *     .optModelPath(directory)
 *     .optArgument("blockFactory", new NestQuantBlockFactory())
 *     .optArgument("quantization", "w4a8")
 *     .optOption("hasParameter", "false")
 *     .optTranslatorFactory(new TextGenerationTranslatorFactory())
 * }</pre>
 *
 * <p>Stateless and safe for concurrent use.
 */
public final class NestQuantBlockFactory implements BlockFactory {

    private static final long serialVersionUID = 1L;

    /** {@inheritDoc} */
    @Override
    public Block newBlock(Model model, Path modelPath, Map<String, ?> arguments)
            throws IOException {
        Object text = arguments.get(QuantizationConfig.OPTION);
        try {
            QuantizationConfig quantization =
                    text == null
                            ? CausalLmLoader.defaultQuantization(modelPath)
                            : QuantizationConfig.parse(text.toString());
            long[] calibrationIds =
                    CalibrationText.tokenIds(
                            modelPath, quantization, arguments.get(CalibrationText.OPTION));
            return CausalLmLoader.load(
                    modelPath, quantization, calibrationIds, model.getNDManager());
        } catch (MalformedModelException e) {
            throw new IOException(e.getMessage(), e);
        }
    }
}
