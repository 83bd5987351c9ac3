package ai.djl.nestquant.integration;

import ai.djl.inference.Predictor;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.Assert;
import org.testng.Reporter;
import org.testng.SkipException;
import org.testng.annotations.Test;

/** Closing models and predictors frees their native memory. */
public class MemoryTest {

    private static final int WARM_UP_ROUNDS = 40;
    private static final int ROUNDS = 200;

    /**
     * A round allocates 11 MB of float weights, 1.3 MB of codes and a cache; keeping even the codes
     * of each would show as 250 MB. What is left is noise of the heap and of malloc.
     */
    private static final long NOISE_BYTES = 80L << 20;

    @Test
    public void roundsOfLoadPredictCloseDoNotGrowTheProcess() throws Exception {
        long before = 0;
        for (int round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
            if (round == WARM_UP_ROUNDS) {
                before = anonymousBytes();
            }
            Criteria<String, String> criteria =
                    Criteria.builder()
                            .setTypes(String.class, String.class)
                            .optEngine("NestQuant")
                            .optModelPath(TestModels.demo())
                            .optOption("quantization", "w4kv4,balance=off")
                            .optArgument("maxNewTokens", 4)
                            .build();
            try (ZooModel<String, String> model = criteria.loadModel();
                    Predictor<String, String> predictor = model.newPredictor()) {
                predictor.predict("Once upon a time");
            }
        }
        long growth = anonymousBytes() - before;
        Reporter.log("growth over " + ROUNDS + " rounds: " + (growth >> 10) + " KiB", true);
        Assert.assertTrue(growth < NOISE_BYTES, "grew by " + growth + " bytes");
    }

    /** Memory that is not backed by files, after a collection: mapped checkpoints do not count. */
    private static long anonymousBytes() throws IOException {
        Path status = Path.of("/proc/self/status");
        if (!Files.exists(status)) {
            throw new SkipException("this system has no " + status + " to read the memory from");
        }
        System.gc();
        for (String line : Files.readAllLines(status)) {
            if (line.startsWith("RssAnon:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) << 10;
            }
        }
        throw new SkipException(status + " has no RssAnon");
    }
}
