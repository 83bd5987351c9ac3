package ai.djl.nestquant.pipeline;

import ai.djl.MalformedModelException;
import ai.djl.nestquant.checkpoint.ContainerManifest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A quantised model folder, as it was written or found.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param bitsPerWeight the bits of a coded Linear weight, scales included
 * @param bytes the bytes of all files
 * @param seconds the time that it took
 * @param peakResidentBytes the most memory the process has held; -1 where the operating system does
 *     not tell
 * @param layers the number of decoder layers
 */
public record QuantizeReport(
        double bitsPerWeight, long bytes, double seconds, long peakResidentBytes, int layers) {

    static QuantizeReport of(ContainerManifest manifest, int layers, long startNanos) {
        double bits = 0;
        long weights = 0;
        for (ContainerManifest.Layer layer : manifest.layers()) {
            bits += layer.bitsPerWeight() * layer.weights();
            weights += layer.weights();
        }
        return new QuantizeReport(
                weights == 0 ? Float.SIZE : bits / weights,
                manifest.bytes(),
                (System.nanoTime() - startNanos) / 1e9,
                ProcessMemory.peakResidentBytes(),
                layers);
    }

    /**
     * Tells what became of the Linear weights of each kind.
     *
     * @param directory the quantised folder
     * @return a line for each kind, such as {@code mlp.up_proj}
     * @throws IOException if the manifest cannot be read
     * @throws MalformedModelException if it is not valid
     */
    public static ReportTable kinds(Path directory) throws IOException, MalformedModelException {
        Map<String, List<ContainerManifest.Layer>> kinds = new LinkedHashMap<>();
        for (ContainerManifest.Layer layer : ContainerManifest.read(directory).layers()) {
            String kind = layer.name().replaceFirst("^model\\.layers\\.\\d+\\.", "");
            kinds.computeIfAbsent(kind, k -> new ArrayList<>()).add(layer);
        }
        ReportTable table =
                new ReportTable("weights of", "number", "bits", "relative error", "overloads");
        kinds.forEach(
                (kind, layers) -> {
                    double weights =
                            layers.stream().mapToLong(ContainerManifest.Layer::weights).sum();
                    double bits = 0;
                    double error = 0;
                    long overloads = 0;
                    for (ContainerManifest.Layer layer : layers) {
                        bits += layer.bitsPerWeight() * layer.weights() / weights;
                        error += layer.relativeError() * layer.weights() / weights;
                        overloads += layer.overloadedBlocks();
                    }
                    table.add(kind, (long) weights, bits, error, overloads);
                });
        return table;
    }
}
