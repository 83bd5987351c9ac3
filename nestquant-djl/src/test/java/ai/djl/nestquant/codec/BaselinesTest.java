package ai.djl.nestquant.codec;

import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The baselines against examples worked by hand and their distortion on N(0,1). */
public class BaselinesTest {
    private static final int COLUMNS = 4096;
    private static final int ROWS = 64;

    /** 262144 Gaussian entries: the squared error's standard deviation is below 0.5% of it. */
    private static final double SAMPLING = 0.015;

    @Test
    public void floatFormatsRoundToNearestEven() {
        FloatFormat e2m1 = FloatFormat.E2M1;
        float[] values = {0.2f, 0.25f, 0.26f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5, 5.1f, 7, -2.6f};
        float[] nearest = {0, 0, 0.5f, 1, 1, 2, 2, 4, 4, 6, 6, -3};
        for (int i = 0; i < values.length; i++) {
            Assert.assertEquals(e2m1.round(values[i]), nearest[i], 0f, "E2M1 of " + values[i]);
        }
        Assert.assertEquals(FloatFormat.E4M3.round(1.0625f), 1f);
        Assert.assertEquals(FloatFormat.E4M3.round(1.07f), 1.125f);
        Assert.assertEquals(FloatFormat.E4M3.round(1000), 448f);
        Assert.assertEquals(FloatFormat.E4M3.round(0x1.4p-9f), 0x1p-9f);
        Assert.assertEquals(FloatFormat.FP16.round(1 + 0x1p-11f), 1f);
        Assert.assertEquals(FloatFormat.FP16.round(0x1.8p-24f), 0x1p-23f);
        Assert.assertEquals(FloatFormat.FP16.round(0x1p-26f), 0f);
    }

    @Test
    public void absmaxRoundsToMultiplesOfAnEighthOfItsRange() {
        // max 7 gives scale 1
        float[] row = {7, -7, 0.4f, 0.6f, -3.2f, 2.5f, -6.6f, 0};
        float[] expected = {7, -7, 0, 1, -3, 3, -7, 0};
        Assert.assertEquals(decode(new AbsmaxQuantizer(4, 8), row), expected);
        Assert.assertEquals(new AbsmaxQuantizer(4, 32).bitsPerEntry(64), 4.5);
        Assert.assertEquals(new AbsmaxQuantizer(3, 128).bitsPerEntry(128), 3.125);
        Assert.assertEquals(new AbsmaxQuantizer(3, 0).bitsPerEntry(512), 3.03125);
    }

    @Test
    public void q4ZeroPutsTheExtremeAtMinusEight() {
        // extreme −8: d = 1; +7.9 is clipped to 7
        float[] row = new float[32];
        row[0] = -8;
        row[1] = 7.9f;
        row[2] = 1.4f;
        row[3] = -1.6f;
        row[31] = 0.5f;
        float[] expected = new float[32];
        expected[0] = -8;
        expected[1] = 7;
        expected[2] = 1;
        expected[3] = -2;
        expected[31] = 1;
        Assert.assertEquals(decode(new Q4ZeroQuantizer(), row), expected);
        Assert.assertEquals(new Q4ZeroQuantizer().quantize(row, 0, 32, new float[32]), 1);
        // a positive extreme turns the sign of d
        for (int i = 0; i < 32; i++) {
            row[i] = -row[i];
            expected[i] = -expected[i];
        }
        Assert.assertEquals(decode(new Q4ZeroQuantizer(), row), expected);
    }

    @Test
    public void mxFp4HasPowerOfTwoScales() {
        // max 7 has exponent 2: scale 1, saturation at 6; then max 1.5: exponent 0, scale 1/4
        float[] row = new float[64];
        row[0] = 7;
        row[1] = -2.4f;
        row[32] = 1.5f;
        row[33] = 0.3f;
        float[] expected = new float[64];
        expected[0] = 6;
        expected[1] = -2;
        expected[32] = 1.5f;
        expected[33] = 0.25f;
        Assert.assertEquals(decode(new MxFp4Quantizer(), row), expected);
        Assert.assertEquals(new MxFp4Quantizer().quantize(row, 0, 64, new float[64]), 1);
    }

    @Test
    public void nvFp4ScalesAreE4M3OfTheTensorScale() {
        // tensor scale 1: the group with maximum 6·1.07 has scale 1.125, the other one 448
        float[] row = new float[32];
        row[0] = 6 * 1.07f;
        row[1] = 1.2f;
        row[16] = 6 * 448;
        row[17] = 448 * 0.6f;
        float[] expected = new float[32];
        expected[0] = 6 * 1.125f;
        expected[1] = 1.125f;
        expected[16] = 6 * 448;
        expected[17] = 224;
        Assert.assertEquals(decode(new NvFp4Quantizer(6 * 448), row), expected);
        Assert.assertThrows(
                IllegalArgumentException.class, () -> decode(new NvFp4Quantizer(1), row));
    }

    @Test
    public void clippingSearchPrefersTheBulkToOneOutlier() {
        float[] row = new float[512];
        for (int i = 0; i < 512; i++) {
            row[i] = i % 15 - 7;
        }
        row[100] = 8.5f;
        float[] decoded = decode(new ClippedQuantizer(4), row);
        for (int i = 0; i < 512; i++) {
            Assert.assertEquals(decoded[i], i == 100 ? 7 : row[i], 0.15f, "entry " + i);
        }
        Assert.assertEquals(new ClippedQuantizer(4).quantize(row, 0, 512, new float[512]), 1);
    }

    /** Rows with all kinds of entries, nearly the smallest and the largest that there can be. */
    private static float[] randomRow(Random random, int kind, int columns) {
        float[] row = new float[columns];
        for (int i = 0; i < columns; i++) {
            double x = random.nextGaussian();
            row[i] =
                    (float)
                            switch (kind) {
                                case 0 -> x;
                                case 1 -> x * x * x;
                                case 2 -> random.nextInt(15) - 7; // on a grid, so that scales tie
                                case 3 -> random.nextInt(16) == 0 ? x : 0;
                                case 4 -> x * 1e-22;
                                case 5 -> x * 1e-39;
                                default -> x * 1e14;
                            };
        }
        return row;
    }

    @Test
    public void theClippedScaleIsThatOfTheLeastErrorOfAllCandidates() {
        Random random = new Random(7);
        for (int columns : new int[] {8, 64, 576, 1544}) {
            for (int round = 0; round < 70; round++) {
                float[] row = randomRow(random, round % 7, columns);
                int bits = new int[] {2, 3, 4, 8}[random.nextInt(4)];
                float[] decoded = new float[columns];
                new ClippedQuantizer(bits).quantize(row, 0, columns, decoded);
                float scale = scaleOfLeastError(row, 1 << (bits - 1));
                for (int i = 0; i < columns; i++) {
                    float expected = scale == 0 ? 0 : scale * integer(row[i], scale, bits);
                    String entry = columns + " columns, round " + round + ", entry " + i;
                    Assert.assertEquals(decoded[i], expected, 0f, entry);
                }
            }
        }
    }

    private static float integer(float x, float scale, int bits) {
        int range = 1 << (bits - 1);
        return Math.max(-range, Math.min(range - 1, (float) Math.rint(x * (1 / scale))));
    }

    /** The rule of {@link ClippedQuantizer}, candidate after candidate, summed up in double. */
    private static float scaleOfLeastError(float[] row, int range) {
        float widest = GroupQuantizer.absmax(row, 0, row.length) / (range - 1);
        int bits = Integer.numberOfTrailingZeros(range) + 1;
        float best = widest;
        double least = Double.POSITIVE_INFINITY;
        for (int step = 100; step > 25; step--) {
            float scale = widest * step / 100;
            double sum = 0;
            for (float x : row) {
                float error = x - scale * integer(x, scale, bits);
                sum += error * error;
            }
            if (sum < least) {
                least = sum;
                best = scale;
            }
        }
        return best;
    }

    /**
     * Distortion on N(0,1). Q4_0: 0.00742 is the published simulation's value; 0.01154 is Max's
     * optimal 16-level uniform quantiser (1960), which the clipped one may exceed by a few percent
     * because it has a level at zero; the others are this project's own measurement.
     */
    @Test
    public void gaussianDistortionIsAsMeasured() {
        assertDistortion(new Q4ZeroQuantizer(), 0.00742);
        double clipped = distortion(new ClippedQuantizer(4));
        Assert.assertTrue(clipped >= 0.01154 && clipped < 0.01154 * 1.05, "clipped " + clipped);
        Assert.assertTrue(distortion(new AbsmaxQuantizer(4, 0)) > clipped);
        assertDistortion(new AbsmaxQuantizer(4, 32), 0.00942);
        assertDistortion(new AbsmaxQuantizer(3, 32), 0.0514);
        assertDistortion(new MxFp4Quantizer(), 0.01321);
        assertDistortion(new NvFp4Quantizer(6), 0.00904);
    }

    @Test
    public void zeroRowsStayZeroAndScalingByPowersOfTwoCommutes() {
        for (RowQuantizer quantizer : all()) {
            Assert.assertEquals(decode(quantizer, new float[64]), new float[64]);
        }
        float[] row = gaussian(new Random(5), 64);
        float[] twice = row.clone();
        for (int i = 0; i < 64; i++) {
            twice[i] *= 2;
        }
        for (RowQuantizer quantizer : List.of(all().get(0), all().get(1), all().get(3))) {
            float[] decoded = decode(quantizer, row);
            for (int i = 0; i < 64; i++) {
                decoded[i] *= 2;
            }
            Assert.assertEquals(decode(quantizer, twice), decoded, quantizer.name());
        }
    }

    @Test
    public void unusableRowsAreNamed() {
        for (RowQuantizer quantizer : all()) {
            float[] row = new float[64];
            row[37] = Float.NaN;
            IllegalArgumentException e =
                    Assert.expectThrows(
                            IllegalArgumentException.class, () -> decode(quantizer, row));
            Assert.assertTrue(e.getMessage().contains("37"), e.getMessage());
        }
        Assert.assertThrows(
                IllegalArgumentException.class, () -> decode(new Q4ZeroQuantizer(), new float[40]));
        float[] huge = new float[32];
        huge[3] = 1e6f;
        Assert.assertThrows(
                IllegalArgumentException.class, () -> decode(new Q4ZeroQuantizer(), huge));
        Assert.assertThrows(IllegalArgumentException.class, () -> new AbsmaxQuantizer(9, 32));
    }

    private static List<RowQuantizer> all() {
        return List.of(
                new Q4ZeroQuantizer(),
                new MxFp4Quantizer(),
                new NvFp4Quantizer(8),
                new ClippedQuantizer(4),
                new AbsmaxQuantizer(4, 32),
                new AbsmaxQuantizer(3, 0));
    }

    private static float[] decode(RowQuantizer quantizer, float[] row) {
        float[] decoded = new float[row.length];
        quantizer.quantize(row, 0, row.length, decoded);
        return decoded;
    }

    private static void assertDistortion(RowQuantizer quantizer, double expected) {
        double actual = distortion(quantizer);
        Assert.assertEquals(actual, expected, expected * SAMPLING, quantizer.name());
    }

    private static double distortion(RowQuantizer quantizer) {
        Random random = new Random(2026);
        double sum = 0;
        for (int row = 0; row < ROWS; row++) {
            float[] x = gaussian(random, COLUMNS);
            float[] decoded = decode(quantizer, x);
            for (int i = 0; i < COLUMNS; i++) {
                sum += Math.pow(x[i] - decoded[i], 2);
            }
        }
        return sum / ROWS / COLUMNS;
    }

    private static float[] gaussian(Random random, int n) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = (float) random.nextGaussian();
        }
        return x;
    }
}
