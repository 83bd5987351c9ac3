package ai.djl.nestquant.engine;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class SamplerTest {

    private static final long SEED = 20261122;

    /** Draws for frequency tests; 5 standard deviations of a frequency are then below 0.018. */
    private static final int DRAWS = 20_000;

    private static final double FREQUENCY_TOLERANCE = 0.018;

    private static GenerationParameters.Builder sampling() {
        return GenerationParameters.builder().optTemperature(1).optSeed(SEED);
    }

    private static double[] frequencies(GenerationParameters parameters, float[] logits) {
        Sampler sampler = new Sampler(parameters);
        double[] frequencies = new double[logits.length];
        for (int i = 0; i < DRAWS; i++) {
            frequencies[sampler.next(logits)] += 1.0 / DRAWS;
        }
        return frequencies;
    }

    private static float[] logs(double... probabilities) {
        float[] logits = new float[probabilities.length];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.log(probabilities[i]) + 3;
        }
        return logits;
    }

    private static void assertFrequencies(double[] actual, double... expected) {
        for (int i = 0; i < expected.length; i++) {
            if (expected[i] == 0) {
                Assert.assertEquals(actual[i], 0.0, "token " + i);
            } else {
                Assert.assertEquals(actual[i], expected[i], FREQUENCY_TOLERANCE, "token " + i);
            }
        }
    }

    @Test
    public void greedyTakesTheLargestLogitAndTheLowestIdOnTies() {
        Sampler sampler = new Sampler(GenerationParameters.builder().build());
        Assert.assertEquals(sampler.next(new float[] {-3, 2, 5, 5, 1}), 2);
        Assert.assertEquals(sampler.next(new float[] {-1, -1}), 0);
        Assert.assertEquals(sampler.next(new float[] {Float.NEGATIVE_INFINITY, -1}), 1);
    }

    @Test
    public void penaltyDividesPositiveAndMultipliesNegativeLogitsOfTokensThatOccurred() {
        Sampler sampler =
                new Sampler(GenerationParameters.builder().optRepetitionPenalty(2).build());
        sampler.accept(0, 0, 2); // twice counts once
        float[] logits = {4, 2.5f, -1, -1.5f};
        Assert.assertEquals(sampler.next(logits), 1); // 2, 2.5, -2, -1.5
        Assert.assertEquals(sampler.next(logits), 0); // 2, 1.25, -2, -1.5
        Assert.assertEquals(logits, new float[] {4, 2.5f, -1, -1.5f});
        sampler.accept(3);
        Assert.assertEquals(sampler.next(new float[] {-9, -9, -1, -1.5f}), 2); // -2 over -3
    }

    @Test
    public void samplingFollowsTheSoftmax() {
        assertFrequencies(frequencies(sampling().build(), logs(0.1, 0.6, 0.3)), 0.1, 0.6, 0.3);
    }

    @Test
    public void temperatureSharpensTheSoftmax() {
        // squares of 0.1, 0.6, 0.3 over their sum 0.46
        assertFrequencies(
                frequencies(sampling().optTemperature(0.5).build(), logs(0.1, 0.6, 0.3)),
                0.01 / 0.46,
                0.36 / 0.46,
                0.09 / 0.46);
        Sampler nearlyGreedy = new Sampler(sampling().optTemperature(1e-300).build());
        Assert.assertEquals(nearlyGreedy.next(new float[] {1, 1.0001f, -50}), 1);
    }

    @Test
    public void topKKeepsTheLargestAndWhatTiesWithTheLastOfThem() {
        assertFrequencies(
                frequencies(sampling().optTopK(2).build(), logs(0.1, 0.5, 0.15, 0.25)),
                0,
                2.0 / 3,
                0,
                1.0 / 3);
        assertFrequencies(
                frequencies(sampling().optTopK(2).build(), new float[] {0, 1, 0, -1}),
                1 / (2 + Math.E),
                Math.E / (2 + Math.E),
                1 / (2 + Math.E),
                0);
    }

    @Test
    public void topPKeepsTokensWithLessThanThatMassBeforeThem() {
        float[] logits = logs(0.15, 0.5, 0.05, 0.3);
        assertFrequencies(frequencies(sampling().optTopP(0.7).build(), logits), 0, 0.625, 0, 0.375);
        assertFrequencies(frequencies(sampling().optTopP(0).build(), logits), 0, 1, 0, 0);
        assertFrequencies(
                frequencies(sampling().optTopP(0.9).build(), logits),
                0.15 / 0.95,
                0.5 / 0.95,
                0,
                0.3 / 0.95);
    }

    @Test
    public void topPCountsTheMassThatTopKLeft() {
        // of 0.5 and 0.3 the first has 0.625, which is enough for p = 0.6 only after top-k
        float[] logits = logs(0.15, 0.5, 0.05, 0.3);
        assertFrequencies(
                frequencies(sampling().optTopK(2).optTopP(0.6).build(), logits), 0, 1, 0, 0);
    }

    @Test
    public void excludedTokensAreNeverDrawn() {
        float[] logits = {Float.NEGATIVE_INFINITY, 0, Float.NEGATIVE_INFINITY, 0};
        assertFrequencies(frequencies(sampling().build(), logits), 0, 0.5, 0, 0.5);
        assertFrequencies(frequencies(sampling().optTopK(3).build(), logits), 0, 0.5, 0, 0.5);
    }

    @Test
    public void equalSeedsGiveEqualTokensAndTheseTokensOnEveryPlatform() {
        float[] logits = new float[100];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (i * 37 % 100) / 50f;
        }
        GenerationParameters parameters =
                GenerationParameters.builder()
                        .optTemperature(0.8)
                        .optTopK(40)
                        .optTopP(0.95)
                        .optSeed(42)
                        .build();
        int[] tokens = new int[8];
        Sampler sampler = new Sampler(parameters);
        Arrays.setAll(tokens, i -> sampler.next(logits));
        Assert.assertEquals(tokens, new int[] {48, 35, 16, 70, 27, 10, 62, 29});
        GenerationParameters other =
                GenerationParameters.builder().optTemperature(0.8).optSeed(43).build();
        int[] otherTokens = new int[8];
        Sampler otherSampler = new Sampler(other);
        Arrays.setAll(otherTokens, i -> otherSampler.next(logits));
        Assert.assertFalse(Arrays.equals(tokens, otherTokens));
    }

    @Test
    public void logitsThatAreNoNumbersAreRefusedNamingTheToken() {
        for (double temperature : new double[] {0, 1}) {
            Sampler sampler = new Sampler(sampling().optTemperature(temperature).build());
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                IllegalStateException e =
                        Assert.expectThrows(
                                IllegalStateException.class,
                                () -> sampler.next(new float[] {0, bad, 1}));
                Assert.assertTrue(
                        e.getMessage().startsWith("the logit of token 1 is " + bad),
                        e.getMessage());
            }
            float[] excluded = new float[3];
            Arrays.fill(excluded, Float.NEGATIVE_INFINITY);
            Assert.assertThrows(IllegalStateException.class, () -> sampler.next(excluded));
            Assert.assertThrows(IllegalStateException.class, () -> sampler.next(new float[0]));
        }
    }

    @DataProvider
    public static Object[][] sizes() {
        return new Object[][] {{1}, {2}, {3}, {7}, {64}, {1000}};
    }

    @Test(dataProvider = "sizes")
    public void ranksAreTheStableOrderByFallingScore(int size) {
        Random random = new Random(SEED + size);
        float[] scores = new float[size];
        for (int i = 0; i < size; i++) {
            scores[i] = random.nextInt(size); // with ties
        }
        int[] expected =
                IntStream.range(0, size)
                        .boxed()
                        .sorted(Comparator.comparing((Integer i) -> -scores[i]))
                        .mapToInt(Integer::intValue)
                        .toArray();
        RankedTokens ranked = new RankedTokens();
        for (int round = 0; round < 2; round++) {
            ranked.reset(scores, size);
            int[] actual = new int[size];
            Arrays.setAll(actual, ranked::get);
            Assert.assertEquals(actual, expected, "seed " + (SEED + size));
        }
    }
}
