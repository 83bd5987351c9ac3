package ai.djl.nestquant.engine;

import ai.djl.nestquant.checkpoint.GenerationConfig;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class GenerationParametersTest {

    private static GenerationConfig config(boolean doSample) {
        return new GenerationConfig(
                true,
                OptionalInt.empty(),
                List.of(2, 7),
                doSample,
                0.8,
                50,
                0.95,
                1.1,
                OptionalInt.of(40),
                OptionalInt.empty(),
                List.of());
    }

    @Test
    public void modelDefaultsHoldWhereNothingIsGiven() {
        GenerationParameters parameters =
                GenerationParameters.parse(Map.of(), Set.of(), config(true));
        Assert.assertEquals(parameters.maxNewTokens(), 40);
        Assert.assertEquals(parameters.temperature(), 0.8);
        Assert.assertEquals(parameters.topK(), 50);
        Assert.assertEquals(parameters.topP(), 0.95);
        Assert.assertEquals(parameters.repetitionPenalty(), 1.1);
        Assert.assertEquals(parameters.eosTokenIds(), List.of(2L, 7L));
        Assert.assertEquals(parameters.seed(), OptionalLong.empty());
        Assert.assertTrue(parameters.isEnd(7));
        Assert.assertFalse(parameters.isEnd(8));
    }

    @Test
    public void modelWithoutSamplingIsGreedyUntilATemperatureIsGiven() {
        Assert.assertTrue(GenerationParameters.builder(config(false)).build().isGreedy());
        GenerationParameters parameters =
                GenerationParameters.parse(Map.of("temperature", 0.5), Set.of(), config(false));
        Assert.assertFalse(parameters.isGreedy());
        Assert.assertEquals(parameters.topK(), 50);
    }

    @Test
    public void argumentsReplaceDefaultsAsObjectsOrText() {
        for (boolean text : new boolean[] {false, true}) {
            Map<String, Object> arguments =
                    Map.of(
                            "maxNewTokens", text ? "7" : 7,
                            "temperature", text ? "0" : 0,
                            "topK", text ? "3" : 3.0,
                            "topP", text ? "0.5" : 0.5f,
                            "repetitionPenalty", text ? "1.25" : 1.25,
                            "seed", text ? "9223372036854775807" : Long.MAX_VALUE,
                            "stop", text ? "END" : List.of("END"),
                            "eosTokenIds", text ? "5" : new Object[] {5},
                            "ignoreEos", text ? "true" : Boolean.TRUE);
            GenerationParameters parameters =
                    GenerationParameters.parse(arguments, Set.of(), config(true));
            Assert.assertEquals(arguments.keySet(), GenerationParameters.keys());
            Assert.assertEquals(parameters.maxNewTokens(), 7);
            Assert.assertTrue(parameters.isGreedy());
            Assert.assertEquals(parameters.topK(), 3);
            Assert.assertEquals(parameters.topP(), 0.5);
            Assert.assertEquals(parameters.repetitionPenalty(), 1.25);
            Assert.assertEquals(parameters.seed(), OptionalLong.of(Long.MAX_VALUE));
            Assert.assertEquals(parameters.stopStrings(), List.of("END"));
            Assert.assertEquals(parameters.eosTokenIds(), List.of(5L));
            Assert.assertFalse(parameters.isEnd(5));
        }
    }

    @Test
    public void unknownArgumentIsRefusedWithTheKnownOnes() {
        IllegalArgumentException e =
                Assert.expectThrows(
                        IllegalArgumentException.class,
                        () ->
                                GenerationParameters.parse(
                                        Map.of("top_k", 1, "quantization", "w4"),
                                        Set.of("quantization"),
                                        config(true)));
        Assert.assertEquals(
                e.getMessage(),
                "unknown argument \"top_k\"; known are [eosTokenIds, ignoreEos, maxNewTokens,"
                        + " quantization, repetitionPenalty, seed, stop, temperature, topK, topP]");
    }

    @DataProvider
    public static Object[][] invalid() {
        return new Object[][] {
            {"maxNewTokens", 0},
            {"maxNewTokens", "many"},
            {"maxNewTokens", 1L << 31},
            {"temperature", -0.1},
            {"temperature", Double.NaN},
            {"temperature", "warm"},
            {"topK", -1},
            {"topK", 1.5},
            {"topP", 1.01},
            {"topP", Double.NaN},
            {"repetitionPenalty", 0},
            {"repetitionPenalty", Double.POSITIVE_INFINITY},
            {"seed", "0x10"},
            {"stop", ""},
            {"stop", List.of("a", 1)},
            {"stop", 1},
            {"eosTokenIds", List.of(-1)},
            {"eosTokenIds", "end"},
            {"ignoreEos", "yes"},
        };
    }

    @Test(dataProvider = "invalid")
    public void invalidValueIsRefusedNamingItsKey(String key, Object value) {
        IllegalArgumentException e =
                Assert.expectThrows(
                        IllegalArgumentException.class,
                        () ->
                                GenerationParameters.parse(
                                        Map.of(key, value), Set.of(), config(true)));
        Assert.assertTrue(
                e.getMessage().startsWith("argument \"" + key + "\" must be "), e.getMessage());
    }

    @Test
    public void parametersKeepNoReferenceToTheCallersLists() {
        List<String> stops = Arrays.asList("a", "b");
        GenerationParameters parameters =
                GenerationParameters.builder().optStopStrings(stops).build();
        stops.set(0, "changed");
        Assert.assertEquals(parameters.stopStrings(), List.of("a", "b"));
    }
}
