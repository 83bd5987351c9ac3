package ai.djl.nestquant.codec;

import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.rotation.Rotation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** What real weights cost: rotated rows of SmolLM2-135M's projections. */
public class RealRowsTest {
    /** Measured 0.00417 over all layers; 0.00443 with one fixed scale. */
    private static final double MEAN_ROW_ERROR = 0.0042;

    private static final double WORST_ROW_ERROR = 0.008;
    private static final int HIDDEN = 576;
    private static final int INTERMEDIATE = 1536;

    @Test
    public void rotatedProjectionsKeepTheirRelativeError() throws Exception {
        DistortionStats stats = new DistortionStats();
        try (Checkpoint checkpoint = Checkpoint.open(smolLm2())) {
            for (int layer : new int[] {0, 1, 15, 29}) {
                for (String name : List.of("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj")) {
                    encode(checkpoint, layer, name, HIDDEN, stats);
                }
                encode(checkpoint, layer, "mlp.down_proj", INTERMEDIATE, stats);
            }
        }
        Assert.assertTrue(stats.meanRowError() <= MEAN_ROW_ERROR, stats.toString());
        Assert.assertTrue(stats.worstRowError() <= WORST_ROW_ERROR, stats.toString());
    }

    private static void encode(
            Checkpoint checkpoint, int layer, String name, int columns, DistortionStats stats)
            throws CheckpointException {
        float[] weights = checkpoint.readFloats("model.layers." + layer + "." + name + ".weight");
        int rows = weights.length / columns;
        float[] rotated = Rotation.of(columns, 1).padAndApply(weights, rows);
        PackedMatrixEncoder.encode(PackedCode.E8_16, rotated, rows, rotated.length / rows, stats);
    }

    /** Returns the model's directory, unpacked on first use by the program that lies beside it. */
    private static Path smolLm2() throws IOException, InterruptedException {
        Path shared = Path.of(System.getProperty("nestquant.shared", "../../shared"));
        Path source = shared.resolve("models/smollm2-135m/Unpack.java").toAbsolutePath();
        if (!Files.exists(source)) {
            throw new SkipException(
                    source + " is missing; -Dnestquant.shared=DIR says where to look for it");
        }
        Path target = Path.of("target", "models", "smollm2-135m").toAbsolutePath();
        Process unpack =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                source.toString(),
                                target.toString())
                        .redirectErrorStream(true)
                        .start();
        String output = new String(unpack.getInputStream().readAllBytes());
        if (unpack.waitFor() != 0) {
            throw new IOException(source + " failed: " + output);
        }
        return target;
    }
}
