package ai.djl.nestquant.rotation;

import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The laws of {@link Rotation}. */
public class RotationTest {

    /** Row lengths of published models and a few awkward ones. */
    private static final int[] MODEL_LENGTHS = {
        64, 172, 192, 512, 576, 1009, 1536, 2018, 2048, 4096, 4864, 8192, 8960, 11008, 14336
    };

    /**
     * Float rounding of a transform of at most 2^14 entries and three dense factors: relative error
     * of a few ulps per level, 2^-24 · (14 + 172) in the worst case; 2e-6 was the largest measured.
     */
    private static final double ROUNDING = 1e-5;

    @DataProvider
    public Object[][] lengths() {
        Object[][] result = new Object[300 + MODEL_LENGTHS.length][];
        for (int i = 0; i < result.length; i++) {
            result[i] = new Object[] {i < 300 ? i + 1 : MODEL_LENGTHS[i - 300]};
        }
        return result;
    }

    @Test(dataProvider = "lengths")
    public void inverseUndoesRotationAndNormIsKept(int length) {
        Rotation rotation = Rotation.of(length, 7);
        int n = rotation.paddedLength();
        float[] x = gaussian(3 + n, 11);
        float[] y = x.clone();
        rotation.apply(y, 3);
        Assert.assertEquals(Arrays.copyOf(y, 3), Arrays.copyOf(x, 3));
        Assert.assertEquals(norm(y, 3, n) / norm(x, 3, n), 1, ROUNDING);
        rotation.applyInverse(y, 3);
        Assert.assertTrue(distance(x, y) / norm(x, 3, n) <= ROUNDING, rotation.toString());
    }

    @Test(dataProvider = "lengths")
    public void paddingIsShort(int length) {
        int n = Rotation.of(length, 7).paddedLength();
        int least = (length + 7) / 8 * 8;
        Assert.assertEquals(n % 8, 0);
        Assert.assertTrue(n >= least && n <= least + least / 128, length + " -> " + n);
    }

    @Test
    public void columnsAreOrthonormalForEveryShortLength() {
        for (int length = 8; length <= 300; length += 8) {
            Rotation rotation = Rotation.of(length, length);
            float[][] columns = columns(rotation);
            for (int i = 0; i < columns.length; i++) {
                for (int j = 0; j <= i; j++) {
                    double expected = i == j ? 1 : 0;
                    double actual = dot(columns[i], columns[j]);
                    Assert.assertEquals(actual, expected, ROUNDING, rotation.toString());
                }
            }
        }
    }

    @Test(dataProvider = "lengths")
    public void productsOfRotatedRowsAreKept(int length) {
        Rotation rotation = Rotation.of(length, 3);
        int n = rotation.paddedLength();
        float[] w = gaussian(n, 1);
        float[] x = gaussian(n, 2);
        double before = dot(w, x);
        rotation.apply(w, 0);
        rotation.apply(x, 0);
        Assert.assertEquals(dot(w, x), before, ROUNDING * n);
    }

    /** All entries of a Hadamard matrix have one modulus, so an outlier spreads evenly. */
    @Test
    public void oneHotRowsBecomeFlatWhereHadamardMatricesExist() {
        for (int length : new int[] {64, 92, 176, 192, 512, 576, 1536, 4864, 8960, 11008, 14336}) {
            Rotation rotation = Rotation.of(length, 5);
            int n = rotation.paddedLength();
            Random random = new Random(length);
            for (int trial = 0; trial < 8; trial++) {
                float[] x = new float[n];
                x[random.nextInt(length)] = 1;
                rotation.apply(x, 0);
                for (float v : x) {
                    Assert.assertEquals(Math.abs(v) * Math.sqrt(n), 1, ROUNDING, "" + rotation);
                }
            }
        }
    }

    @Test
    public void oneHotRowsSpreadThroughRandomFactors() {
        Rotation rotation = Rotation.of(1009, 5);
        int n = rotation.paddedLength();
        Assert.assertTrue(rotation.toString().contains("random"), rotation.toString());
        float[] x = new float[n];
        x[500] = 1;
        rotation.apply(x, 0);
        float largest = 0;
        for (float v : x) {
            largest = Math.max(largest, Math.abs(v));
        }
        // 127 distinct Gaussian moduli of standard deviation 1/sqrt(n): below 4.5 of them
        Assert.assertTrue(largest * Math.sqrt(n) < 4.5, "largest " + largest * Math.sqrt(n));
    }

    /** A heavy-tailed row has kurtosis 3 afterwards, like a Gaussian one. */
    @Test
    public void outliersDisappear() {
        for (int length : new int[] {576, 1009, 1536, 2048}) {
            Rotation rotation = Rotation.of(length, 9);
            int n = rotation.paddedLength();
            float[] x = new float[n];
            Random random = new Random(13);
            for (int i = 0; i < length; i++) {
                x[i] = (float) Math.pow(random.nextGaussian(), 5);
            }
            double before = kurtosis(x);
            rotation.apply(x, 0);
            Assert.assertTrue(before > 50, "kurtosis before " + before);
            Assert.assertTrue(kurtosis(x) < 4, rotation + ": kurtosis after " + kurtosis(x));
        }
    }

    /** Pins the rotation itself: a stored model must decode in every later version. */
    @Test
    public void rotationsNeverChange() {
        int[] lengths = {64, 192, 576, 172, 11008, 1009};
        long[] pinned = {
            79953079992615936L,
            -1093353924032549632L,
            6847897933139264768L,
            5085695606296133056L,
            2408144094805986304L,
            -701959166983938048L
        };
        Assert.assertEquals(
                Arrays.stream(lengths).mapToLong(RotationTest::signature).toArray(), pinned);
    }

    @Test
    public void noRotationPadsAlikeAndLeavesEntriesAlone() {
        for (int length : new int[] {1, 36, 49, 576, 1027}) {
            Rotation none = Rotation.none(length);
            Assert.assertEquals(none.paddedLength(), Rotation.of(length, 1).paddedLength());
            Assert.assertEquals(none.order(), 1);
            float[] x = new float[length];
            for (int i = 0; i < length; i++) {
                x[i] = i - 7.5f;
            }
            float[] padded = none.padAndApply(x, 1);
            Assert.assertEquals(padded, Arrays.copyOf(x, none.paddedLength()));
            none.applyInverse(padded, 0);
            Assert.assertEquals(Arrays.copyOf(padded, length), x);
            Assert.assertTrue(none.split().endsWith(" = identity"), none.toString());
        }
    }

    @Test
    public void seedsGiveDifferentRotations() {
        float[] a = gaussian(576, 1);
        float[] b = a.clone();
        Rotation.of(576, 1).apply(a, 0);
        Rotation.of(576, 2).apply(b, 0);
        Assert.assertTrue(distance(a, b) > 1);
    }

    @Test
    public void batchesEqualSingleRows() {
        Rotation rotation = Rotation.of(172, 4);
        int n = rotation.paddedLength();
        float[] rows = gaussian(3 * 172, 6);
        float[] together = rotation.padAndApply(rows, 3);
        for (int row = 0; row < 3; row++) {
            float[] single = Arrays.copyOf(Arrays.copyOfRange(rows, row * 172, row * 172 + 172), n);
            rotation.apply(single, 0);
            Assert.assertEquals(Arrays.copyOfRange(together, row * n, row * n + n), single);
        }
    }

    @Test
    public void badArgumentsAreNamed() {
        Assert.assertThrows(IllegalArgumentException.class, () -> Rotation.of(0, 1));
        Rotation rotation = Rotation.of(576, 1);
        Assert.assertThrows(
                IndexOutOfBoundsException.class, () -> rotation.apply(new float[576], 1));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> rotation.apply(new float[576], 0, Rotation.of(24, 1).newWorkspace()));
        Assert.assertThrows(
                IllegalArgumentException.class, () -> rotation.padAndApply(new float[577], 1));
    }

    /** Signs of the image of an integer row: exact, so independent of the order of additions. */
    private static long signature(int length) {
        Rotation rotation = Rotation.of(length, 2026);
        float[] x = new float[rotation.paddedLength()];
        x[0] = 4;
        x[length / 3] = 2;
        x[length - 1] = 1;
        rotation.apply(x, 0);
        long hash = 0;
        for (float v : x) {
            hash = 31 * hash + (v < 0 ? 1 : 2);
        }
        return hash;
    }

    private static float[][] columns(Rotation rotation) {
        int n = rotation.paddedLength();
        float[][] columns = new float[n][n];
        for (int i = 0; i < n; i++) {
            columns[i][i] = 1;
            rotation.apply(columns[i], 0);
        }
        return columns;
    }

    private static float[] gaussian(int n, long seed) {
        Random random = new Random(seed);
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = (float) random.nextGaussian();
        }
        return x;
    }

    private static double norm(float[] x, int offset, int n) {
        float[] row = Arrays.copyOfRange(x, offset, offset + n);
        return Math.sqrt(dot(row, row));
    }

    private static double dot(float[] x, float[] y) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += (double) x[i] * y[i];
        }
        return sum;
    }

    private static double distance(float[] x, float[] y) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += Math.pow(x[i] - y[i], 2);
        }
        return Math.sqrt(sum);
    }

    private static double kurtosis(float[] x) {
        double second = 0;
        double fourth = 0;
        for (float v : x) {
            second += (double) v * v;
            fourth += Math.pow(v, 4);
        }
        return fourth / x.length / Math.pow(second / x.length, 2);
    }
}
