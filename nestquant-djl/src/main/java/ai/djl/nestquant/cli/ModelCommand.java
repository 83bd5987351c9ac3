package ai.djl.nestquant.cli;

import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.pipeline.LanguageModel;
import java.nio.file.Path;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/**
 * What the commands share that load one model and do something with it. Not safe for concurrent
 * use.
 *
 * @param <R> the report, a record whose components are the keys of the JSON object
 */
abstract class ModelCommand<R> extends ReportCommand<R> {

    @Option(
            names = "--quantization",
            paramLabel = "WHAT",
            converter = QuantizationConverter.class,
            description =
                    "none, w4, w4a8, w4a4, kv4, w4kv4, w4a8kv4 or w4a4kv4 (w3 and w8 likewise); parts"
                            + " may follow, each after a comma: code=e8 for less error, head=w4 for"
                            + " speed, w3=LAYER or w8=LAYER for other bits in some layers,"
                            + " exclude=LAYER, only=LAYER, balance=off, rotation=off,"
                            + " rounding=ldlq, rounding=qa-ldlq, hessian=normalized, damping=X,"
                            + " and code=C, which simulates C in place of the lattice code: int4,"
                            + " nestquant, nestquantm (both with k=N), rtn, q4_0, mxfp4 or nvfp4,"
                            + " the last three also with _rotated. In LAYER * matches anything"
                            + " (default: w4a8, or what a quantised model was written with)")
    private QuantizationConfig quantization;

    @Option(
            names = "--calibration",
            paramLabel = "FILE",
            description =
                    "the text to calibrate for, UTF-8 (default: a short text that comes with the"
                            + " library); matters with rounding=ldlq and rounding=qa-ldlq")
    private Path calibration;

    /** {@inheritDoc} */
    @Override
    R report() throws Exception {
        LanguageModel loaded;
        try (LoadingBar bar = new LoadingBar(this)) {
            loaded = LanguageModel.open(directory(), quantization, calibration, arguments(), bar);
        }
        try (loaded) {
            return run(loaded);
        }
    }

    /** Returns what is to be coded where no model's directory has a say. */
    final QuantizationConfig quantization() {
        return quantization == null ? QuantizationConfig.DEFAULT : quantization;
    }

    /** Returns DJL arguments to load the model with. */
    Map<String, ?> arguments() {
        return Map.of();
    }

    /** Does what the command is for. */
    abstract R run(LanguageModel loaded) throws Exception;

    /** Reads what {@link QuantizationConfig#parse} understands. */
    static final class QuantizationConverter implements ITypeConverter<QuantizationConfig> {

        /** {@inheritDoc} */
        @Override
        public QuantizationConfig convert(String value) {
            try {
                return QuantizationConfig.parse(value);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }
}
