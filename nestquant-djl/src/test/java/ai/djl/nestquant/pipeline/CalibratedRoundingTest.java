package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.nestquant.model.QuantizationConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** Rounding with feedback brings the embedded model nearer to its float self. */
public class CalibratedRoundingTest {

    private static final Path TEXT =
            Path.of(System.getProperty("nestquant.shared", "../shared"), "models/demo/valid.txt");

    private static final int CALIBRATION_CHARACTERS = 16_000;

    private static double divergence(String quantization, Path calibration, String text)
            throws Exception {
        Path directory = EmbeddedModel.path();
        QuantizationConfig config = QuantizationConfig.parse(quantization);
        try (LanguageModel exact =
                        LanguageModel.open(directory, QuantizationConfig.NONE, null, Map.of());
                LanguageModel coded =
                        LanguageModel.open(directory, config, calibration, Map.of())) {
            TokenWindows windows = new TokenWindows(coded.encode(text), 256, 4);
            return coded.perplexity(windows, 1, exact, n -> {}).klDivergence();
        }
    }

    @Test
    public void feedbackLowersTheDivergenceOnHeldOutText() throws Exception {
        if (!Files.isRegularFile(TEXT)) {
            throw new SkipException("the embedded model's held-out text is missing: " + TEXT);
        }
        String text = Files.readString(TEXT);
        Path calibration = Files.createTempFile("calibration", ".txt");
        try {
            Files.writeString(calibration, text.substring(0, CALIBRATION_CHARACTERS));
            String rest = text.substring(text.length() - CALIBRATION_CHARACTERS);
            double plain = divergence("w4a8,head=float", calibration, rest);
            for (String hessian : List.of("plain", "normalized")) {
                String quantization = "w4a8,head=float,rounding=ldlq,hessian=" + hessian;
                double feedback = divergence(quantization, calibration, rest);
                Assert.assertTrue(feedback < plain, hessian + ": " + feedback + ", not " + plain);
            }
        } finally {
            Files.delete(calibration);
        }
    }

    @Test
    public void missingCalibrationTextIsNamed() {
        Path missing = Path.of("no-such-text.txt");
        IOException error =
                Assert.expectThrows(
                        IOException.class,
                        () ->
                                LanguageModel.open(
                                        EmbeddedModel.path(),
                                        QuantizationConfig.DEFAULT,
                                        missing,
                                        Map.of()));
        Assert.assertTrue(error.getMessage().contains("no-such-text.txt"), error.getMessage());
    }
}
