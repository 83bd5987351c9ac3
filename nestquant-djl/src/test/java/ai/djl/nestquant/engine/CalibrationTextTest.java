package ai.djl.nestquant.engine;

import ai.djl.nestquant.model.QuantizationConfig;
import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The calibration text is there when channels are balanced, and only then. */
public class CalibrationTextTest {

    @DataProvider
    public Object[][] quantizations() {
        return new Object[][] {
            {"w4", true}, {"w4,balance=on", true}, {"w4,balance=off", false}, {"none", false}
        };
    }

    @Test(dataProvider = "quantizations")
    public void textIsEncodedWhereWeightsAreBalanced(String text, boolean balanced)
            throws Exception {
        QuantizationConfig quantization = QuantizationConfig.parse(text);
        long[] ids =
                CalibrationText.tokenIds(SharedFiles.model("smollm2-135m"), quantization, null);
        Assert.assertEquals(ids.length > 0, balanced);
        if (balanced) {
            Assert.assertTrue(ids.length >= 300 && ids.length <= 1024, ids.length + " tokens");
        }
    }

    @Test
    public void theModelContinuesTheTextForFeedbackTheSameInEveryRun() throws Exception {
        Path model = EmbeddedModel.path();
        QuantizationConfig feedback = QuantizationConfig.parse("w4,rounding=ldlq");
        long[] ids = CalibrationText.tokenIds(model, feedback, null);
        long[] own = CalibrationText.tokenIds(model, QuantizationConfig.DEFAULT, null);
        Assert.assertTrue(ids.length > 4 * 1024, ids.length + " tokens");
        int paragraph = 8; // tokens that are surely in the first one
        Assert.assertEquals(Arrays.copyOf(ids, paragraph), Arrays.copyOf(own, paragraph));
        Assert.assertEquals(CalibrationText.tokenIds(model, feedback, null), ids);
    }

    @Test
    public void missingTokenizerSaysHowToLoadWithoutBalancing() throws Exception {
        Path directory = Files.createTempDirectory(Path.of("target"), "no-tokenizer");
        Path config = EmbeddedModel.path().resolve("config.json");
        Files.copy(config, directory.resolve("config.json"));
        FileNotFoundException error =
                Assert.expectThrows(
                        FileNotFoundException.class,
                        () ->
                                CalibrationText.tokenIds(
                                        directory, QuantizationConfig.DEFAULT, null));
        Assert.assertTrue(error.getMessage().contains("tokenizer.json"), error.getMessage());
        Assert.assertTrue(error.getMessage().contains("w4a8,balance=off"), error.getMessage());
    }

    @Test
    public void balanceSwitchSurvivesItsTextForm() {
        QuantizationConfig off = QuantizationConfig.parse("w4,balance=off,exclude=lm_head");
        Assert.assertEquals(QuantizationConfig.parse(off.toString()), off);
        Assert.assertFalse(off.balance());
        Assert.assertTrue(QuantizationConfig.parse("w4").balance());
    }
}
