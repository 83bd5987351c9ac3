package ai.djl.nestquant.pipeline;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.ContainerManifest;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.engine.CalibrationText;
import ai.djl.nestquant.engine.NestQuantEngine;
import ai.djl.nestquant.model.CausalLmLoader;
import ai.djl.nestquant.model.ContainerEstimate;
import ai.djl.nestquant.model.ContainerWriter;
import ai.djl.nestquant.model.QuantizationConfig;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Writes and checks folders of quantised models, which load without quantising again. Stateless;
 * runs that write different folders may go on at the same time.
 */
public final class QuantizedFolder {

    private QuantizedFolder() {}

    /**
     * Quantises a model folder; a run that was interrupted goes on where it stopped.
     *
     * @param model the float model's folder
     * @param target the folder to make; must not exist
     * @param quantization what to code
     * @param calibration the text file to calibrate for, or null for the text that ships with the
     *     project
     * @param progress is told after each part
     * @return sizes and time
     * @throws IOException if a file cannot be read or written
     * @throws MalformedModelException if the model is not as it must be, or the target exists
     */
    public static QuantizeReport write(
            Path model,
            Path target,
            QuantizationConfig quantization,
            Path calibration,
            ContainerWriter.Progress progress)
            throws IOException, MalformedModelException {
        long start = System.nanoTime();
        ContainerWriter.checkStorable(quantization);
        int layers = ModelConfig.load(model).layers();
        try (NDManager manager = newManager()) {
            ContainerManifest manifest =
                    ContainerWriter.write(
                            model,
                            target,
                            quantization,
                            CalibrationText.tokenIds(model, quantization, calibration),
                            Engine.getEngine(NestQuantEngine.ENGINE_NAME).getVersion(),
                            manager,
                            progress);
            return QuantizeReport.of(manifest, layers, start);
        }
    }

    /**
     * Predicts what {@link #write} would do, from the configuration and two layers that are coded
     * and thrown away.
     *
     * @param model the float model's folder
     * @param quantization what would be coded
     * @param calibration the text file to calibrate for, or null
     * @return predicted size and time; {@code peakResidentBytes} is that of the prediction
     * @throws IOException if a file cannot be read
     * @throws MalformedModelException if the model is not as it must be
     */
    public static QuantizeReport predict(
            Path model, QuantizationConfig quantization, Path calibration)
            throws IOException, MalformedModelException {
        ContainerWriter.checkStorable(quantization);
        try (NDManager manager = newManager()) {
            long[] ids = CalibrationText.tokenIds(model, quantization, calibration);
            ContainerEstimate estimate = ContainerEstimate.of(model, quantization, ids, manager);
            return new QuantizeReport(
                    estimate.bitsPerWeight(),
                    estimate.bytes(),
                    estimate.seconds(),
                    ProcessMemory.peakResidentBytes(),
                    ModelConfig.load(model).layers());
        }
    }

    /**
     * Checks a folder: all hashes, and all tensors as loading checks them.
     *
     * @param directory the quantised folder
     * @return its sizes and the time of the check
     * @throws IOException if a file cannot be read
     * @throws MalformedModelException naming the first thing that is not as it must be
     */
    public static QuantizeReport verify(Path directory)
            throws IOException, MalformedModelException {
        long start = System.nanoTime();
        ContainerManifest manifest = ContainerManifest.read(directory);
        manifest.verifyFiles(directory);
        QuantizationConfig quantization = CausalLmLoader.defaultQuantization(directory);
        try (NDManager manager = newManager()) {
            int layers =
                    CausalLmLoader.load(directory, quantization, null, manager).config().layers();
            return QuantizeReport.of(manifest, layers, start);
        }
    }

    private static NDManager newManager() {
        return Engine.getEngine(NestQuantEngine.ENGINE_NAME).newBaseManager(Device.cpu());
    }
}
