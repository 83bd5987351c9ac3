package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.codec.RowEncoder;
import ai.djl.nestquant.rotation.Rotation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/**
 * What every implementation of {@link Kernels} owes as an encoder: the codes of the portable one.
 */
public abstract class EncodingContract {
    private static final long SEED = 20250612;

    /** Returns the kernels under test. */
    protected abstract Kernels kernels(int threads);

    /** Codes, and sizes at the boundaries of lanes, tiles and groups. */
    @DataProvider
    public Object[][] sizes() {
        List<Object[]> sizes = new ArrayList<>();
        for (PackedCode code : PackedCode.values()) {
            for (int columns : new int[] {8, 16, 24, 64, 120, 128, 136, 576, 1544}) {
                sizes.add(new Object[] {code, columns});
            }
        }
        return sizes.toArray(new Object[0][]);
    }

    @Test(dataProvider = "sizes")
    public void encodedRowsAreThoseOfTheSpecification(PackedCode code, int columns) {
        int rows = 37;
        float[] x = rows(rows, columns, new Random(SEED + columns));
        DistortionStats expectedStats = new DistortionStats();
        PackedMatrix expected = PackedMatrixEncoder.encode(code, x, rows, columns, expectedStats);
        PackedMatrix actual = PackedMatrix.allocate(code, rows, columns, expected.tensorScale());
        DistortionStats stats = new DistortionStats();
        kernels(2).encodeRows(actual, 0, rows, x, 0, stats);
        assertSame(actual, expected);
        Assert.assertEquals(stats.toString(), expectedStats.toString());
        Assert.assertEquals(stats.relativeError(), expectedStats.relativeError());
        Assert.assertEquals(stats.rows(), rows);
    }

    /** Sylvester matrices of all sizes, other factors, padding and none at all. */
    @DataProvider
    public Object[][] rotations() {
        return IntStream.of(8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 24, 49, 88, 576)
                .mapToObj(length -> Rotation.of(length, SEED))
                .flatMap(rotation -> Stream.of(rotation, Rotation.none(rotation.length())))
                .map(rotation -> new Object[] {rotation})
                .toArray(Object[][]::new);
    }

    @Test(dataProvider = "rotations")
    public void rotatedRowsAreThoseOfTheSpecification(Rotation rotation) {
        int rows = 3;
        int columns = rotation.paddedLength();
        float[] x = rows(rows, columns, new Random(SEED));
        float[] expected = x.clone();
        rotation.applyRows(expected, 0, rows);
        float largest = 0;
        for (int row = 0; row < rows; row++) {
            float ofRow = RowEncoder.largestBlockNorm(expected, row * columns, columns);
            largest = Math.max(largest, ofRow);
        }
        Assert.assertEquals(kernels(1).rotateRows(rotation, x, rows), largest);
        Assert.assertEquals(x, expected);
        for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
            float[] spoiled = rows(rows, columns, new Random(SEED));
            spoiled[columns] = bad;
            float found = kernels(1).rotateRows(rotation, spoiled, rows);
            Assert.assertFalse(Float.isFinite(found), bad + " is seen as " + found);
        }
        Assert.assertThrows(
                IndexOutOfBoundsException.class,
                () -> kernels(1).rotateRows(rotation, new float[rows * columns - 1], rows));
    }

    @Test
    public void rowsAreEncodedAgainWithoutTouchingOthers() {
        for (PackedCode code : PackedCode.values()) {
            int columns = 88;
            Random random = new Random(SEED);
            float[] x = rows(20, columns, random);
            PackedMatrix expected =
                    PackedMatrixEncoder.encode(code, x, 20, columns, new DistortionStats());
            PackedMatrix actual = PackedMatrix.allocate(code, 20, columns, expected.tensorScale());
            float[] other = Arrays.copyOfRange(rows(21, columns, random), columns, 21 * columns);
            Kernels kernels = kernels(1);
            kernels.encodeRows(actual, 0, 20, other, 0, new DistortionStats());
            for (int row : new int[] {3, 19, 0}) {
                kernels.encodeRows(actual, row, row + 1, x, row * columns, new DistortionStats());
            }
            byte[] integers = new byte[columns];
            byte[] wanted = new byte[columns];
            for (int row : new int[] {0, 3, 19}) {
                actual.decodeRow(row, integers);
                expected.decodeRow(row, wanted);
                Assert.assertEquals(integers, wanted, code + ", row " + row);
            }
            for (int row = 0; row < 20; row++) {
                if (row != 0 && row != 3 && row != 19) {
                    kernels.encodeRows(
                            actual, row, row + 1, x, row * columns, new DistortionStats());
                }
            }
            assertSame(actual, expected);
        }
    }

    @Test(dataProvider = "sizes")
    public void vectorsThatStandAloneAreThoseOfTheSpecification(PackedCode code, int columns) {
        int rows = 23;
        float[] x = rows(rows, columns, new Random(SEED - columns));
        Int8Rows actual = kernels(2).encodeIntegers(code, x, rows);
        Assert.assertEquals(actual.rows(), rows);
        Assert.assertNull(actual.low());
        byte[] integers = new byte[x.length];
        for (int row = 0; row < rows; row++) {
            int start = row * columns;
            float scale = RowEncoder.encodeIntegers(code, x, start, columns, integers);
            Assert.assertEquals(actual.scales()[row], scale, "scale of row " + row);
        }
        Assert.assertEquals(actual.high(), integers);
    }

    /** One vector at a time, long enough to be encoded in pieces. */
    @Test
    public void singleVectorsAreThoseOfTheSpecification() {
        int rows = 24;
        for (PackedCode code : PackedCode.values()) {
            for (int columns : new int[] {1528, 1544, 2048, 4104}) {
                float[] x = rows(rows, columns, new Random(SEED + columns));
                for (int row = 0; row < rows; row++) {
                    int start = row * columns;
                    float[] vector = Arrays.copyOfRange(x, start, start + columns);
                    byte[] integers = new byte[columns];
                    float scale = RowEncoder.encodeIntegers(code, vector, 0, columns, integers);
                    Int8Rows actual = kernels(3).encodeIntegers(code, vector, 1);
                    String what = code + ", " + columns + " columns, row " + row;
                    Assert.assertEquals(actual.scales()[0], scale, what);
                    Assert.assertEquals(actual.high(), integers, what);
                }
            }
        }
    }

    @Test
    public void integersTimesTheirScaleAreNearTheVector() {
        int columns = 2048;
        float[] x = new float[3 * columns];
        Random random = new Random(SEED);
        for (int i = 0; i < x.length; i++) {
            double value = random.nextGaussian();
            // the last one is a giant that the rotation has spread, as at a text's first token
            double[] kinds = {value, 1e-6 * value, Math.signum(value)};
            x[i] = (float) kinds[i / columns];
        }
        // measured 0.0043, 0.0043 and 0.00010; with one scale to each side the last would be 0.0008
        double[] bounds = {0.005, 0.005, 0.0002};
        float[] decoded = kernels(2).encodeIntegers(PackedCode.E8_16, x, 3).decode();
        for (int row = 0; row < bounds.length; row++) {
            double error = 0;
            double norm = 0;
            for (int i = row * columns; i < (row + 1) * columns; i++) {
                error += Math.pow(x[i] - decoded[i], 2);
                norm += Math.pow(x[i], 2);
            }
            Assert.assertTrue(error / norm < bounds[row], "error " + error / norm);
        }
    }

    @Test
    public void entriesThatAreNoNumbersAreNamed() {
        float[] bad = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 2e15f};
        for (float value : bad) {
            float[] x = rows(3, 64, new Random(SEED));
            x[128 + 41] = value;
            PackedMatrix w = PackedMatrix.allocate(PackedCode.D8_16, 3, 64, 1f);
            assertRefused(
                    () -> kernels(1).encodeRows(w, 0, 3, x, 0, new DistortionStats()),
                    "column 41",
                    "" + value);
            assertRefused(
                    () -> kernels(1).encodeIntegers(PackedCode.E8_8, x, 3),
                    "column 41",
                    "" + value);
            float[] vector = rows(1, 2048, new Random(SEED));
            vector[1500] = value;
            assertRefused(
                    () -> kernels(2).encodeIntegers(PackedCode.E8_16, vector, 1),
                    "column 1500",
                    "" + value);
        }
    }

    @Test
    public void whatDoesNotFitIsRefused() {
        PackedMatrix w = PackedMatrix.allocate(PackedCode.E8_16, 20, 16, 1f);
        DistortionStats stats = new DistortionStats();
        Kernels k = kernels(1);
        assertRefused(() -> k.encodeRows(w, 0, 21, new float[21 * 16], 0, stats), "21", "20");
        assertRefused(() -> k.encodeRows(w, 4, 6, new float[32], 1, stats), "32", "31");
        assertRefused(() -> k.encodeRows(w, 4, 6, new float[64], -1, stats), "-1");
        PackedMatrix tiny = PackedMatrix.allocate(PackedCode.E8_16, 1, 16, 1e-10f);
        assertRefused(() -> k.encodeRows(tiny, 0, 1, new float[16], 0, stats), "1.0E-10");
        assertRefused(() -> k.encodeIntegers(PackedCode.E8_16, new float[24], 2), "24", "2");
        Assert.assertEquals(k.encodeIntegers(PackedCode.E8_16, new float[0], 0).rows(), 0);
    }

    private static void assertSame(PackedMatrix actual, PackedMatrix expected) {
        for (int row = 0; row < expected.rows(); row++) {
            int exponent = actual.rowScales().get(row);
            Assert.assertEquals(exponent, expected.rowScales().get(row), "exponent of row " + row);
            for (int block = 0; block < expected.blocks(); block++) {
                if (actual.word(row, block) != expected.word(row, block)) {
                    Assert.assertEquals(
                            Integer.toHexString(actual.word(row, block)),
                            Integer.toHexString(expected.word(row, block)),
                            expected + ", row " + row + ", block " + block);
                }
            }
        }
        Assert.assertEquals(actual.words(), expected.words());
        Assert.assertEquals(actual.betas(), expected.betas());
    }

    private static void assertRefused(Assert.ThrowingRunnable call, String... numbers) {
        String message = Assert.expectThrows(IllegalArgumentException.class, call).getMessage();
        for (String number : numbers) {
            Assert.assertTrue(message.contains(number), message);
        }
    }

    /**
     * Rows of all kinds: Gaussian, of any size, zero, few entries, giants, ties, rotated giants.
     */
    private static float[] rows(int rows, int columns, Random random) {
        float[] x = new float[rows * columns];
        for (int row = 0; row < rows; row++) {
            int kind = row % 8;
            double size = kind == 1 ? Math.pow(10, -4 - row / 8) : 1;
            for (int c = 0; c < columns; c++) {
                double value = size * random.nextGaussian();
                if (kind == 2 || kind == 3 && random.nextInt(8) != 0) {
                    value = 0;
                } else if (kind == 4 && random.nextInt(columns) == 0) {
                    value *= 100;
                } else if (kind == 5) {
                    value = random.nextInt(7) - 3; // ties everywhere
                } else if (kind == 6) {
                    value = Math.signum(value) * (c % 8 == 0 ? 30 : 1e-3);
                } else if (kind == 7) {
                    value = Math.signum(value) + 1e-3 * value; // a rotated giant
                }
                x[row * columns + c] = (float) value;
            }
        }
        return x;
    }
}
