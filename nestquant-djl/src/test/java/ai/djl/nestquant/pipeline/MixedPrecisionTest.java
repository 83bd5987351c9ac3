package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.model.CodedLayer;
import ai.djl.nestquant.model.QuantizationConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.testng.Assert;
import org.testng.annotations.Test;

public class MixedPrecisionTest {

    private static final int LAYERS = 2;
    private static final int WEIGHTS = 64;

    /** Average of 3 bits everywhere. */
    private static final double COARSE = 3.25;

    private static final List<String> KINDS =
            List.of(
                    "self_attn/q_proj",
                    "self_attn/k_proj",
                    "self_attn/v_proj",
                    "self_attn/o_proj",
                    "mlp/gate_proj",
                    "mlp/up_proj",
                    "mlp/down_proj");

    /** A model whose first layer costs ten times the second, and v_proj ten times the others. */
    private static double divergence(String method) {
        return switch (method) {
            case "none" -> 0;
            case "w3" -> 0.4;
            case "w4" -> 0.1;
            case "w8,w3=*.v_proj" -> 0.25;
            case "w8,w3=model.layers.0.*" -> 0.36;
            case "w8,w3=model.layers.1.*" -> 0.036;
            default -> 0.025;
        };
    }

    private static ComparisonReport probes() {
        List<QuantizationConfig> methods = new ArrayList<>(List.of(QuantizationConfig.NONE));
        methods.addAll(MixedPrecision.probes(LAYERS));
        ComparisonSettings settings =
                ComparisonSettings.of(
                        "m", 10, new TokenWindows(LongStream.range(0, 25).toArray(), 10, 0));
        return new ComparisonReport(
                settings, methods.stream().map(m -> row(m.toString())).toList());
    }

    private static ComparisonRow row(String method) {
        double bits = method.equals("w4") ? COARSE + 1 : COARSE;
        List<CodedLayer> layers = new ArrayList<>();
        for (int layer = 0; layer < LAYERS; layer++) {
            for (String kind : KINDS) {
                String name = "layer" + layer + '/' + kind;
                layers.add(new CodedLayer(name, WEIGHTS, bits, 0.01, false));
            }
        }
        double kl = divergence(method);
        return new ComparisonRow(
                method,
                null,
                "W",
                false,
                bits,
                32,
                1,
                11,
                1,
                null,
                null,
                kl,
                null,
                null,
                0.9,
                null,
                null,
                null,
                null,
                null,
                null,
                1,
                "portable",
                layers);
    }

    private static String mixed(double bits) {
        return MixedPrecision.allocate(probes(), LAYERS, bits).toString();
    }

    @Test
    public void bitsGoWhereTheyGainMost() {
        // room for one block of 14: the dearest kind in the dearest layer
        Assert.assertEquals(
                mixed(COARSE + 1.0 / 14),
                "w4,w3=*.q_proj,w3=*.k_proj,w3=*.o_proj,w3=*.gate_proj,w3=*.up_proj,"
                        + "w3=*.down_proj,w3=model.layers.1.self_attn.v_proj");
        Assert.assertTrue(mixed(COARSE + 0.9).contains("w8=model.layers.0.self_attn.v_proj"));
        Assert.assertEquals(
                mixed(COARSE),
                "w4,w3=*.q_proj,w3=*.k_proj,w3=*.v_proj,w3=*.o_proj,"
                        + "w3=*.gate_proj,w3=*.up_proj,w3=*.down_proj");
    }

    @Test
    public void averageIsNeverAboveWhatWasAsked() {
        for (double bits = COARSE; bits <= 8; bits += 0.25) {
            QuantizationConfig config = QuantizationConfig.parse(mixed(bits));
            double sum = 0;
            for (CodedLayer layer : row("w3").layers()) {
                String name = layer.name().replaceFirst("layer", "model.layers.").replace('/', '.');
                int width = config.weightBits(name);
                sum += width == 8 ? 8 : width + 0.25;
            }
            double average = sum / LAYERS / KINDS.size();
            Assert.assertTrue(average <= bits + 1e-9, average + " of " + bits);
            Assert.assertTrue(
                    average > bits - 4.0 / LAYERS / KINDS.size(), average + " of " + bits);
        }
    }

    @Test
    public void averagesThatCannotBeHadAreRefused() {
        for (double bits : new double[] {3.2, 8.1, Double.NaN}) {
            Assert.expectThrows(IllegalArgumentException.class, () -> mixed(bits));
        }
    }
}
