package ai.djl.nestquant.codec;

import java.util.Arrays;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class PackedMatrixTest {
    private static final long SEED = 425;

    /** Mean relative error of Gaussian rows of 576 with row-scale search, measured 0.00418. */
    private static final double GAUSSIAN_ROW_ERROR = 0.00422;

    @Test
    public void decodedRowsAreAsFarFromTheInputAsTheStatisticsSay() {
        int rows = 37;
        int columns = 72;
        float[] entries = GaussianRows.of(rows * columns, SEED);
        DistortionStats stats = new DistortionStats();
        PackedMatrix matrix =
                PackedMatrixEncoder.encode(PackedCode.E8_16, entries, rows, columns, stats);
        double error = 0;
        double norm = 0;
        byte[] decoded = new byte[columns];
        for (int row = 0; row < rows; row++) {
            matrix.decodeRow(row, decoded);
            for (int i = 0; i < columns; i++) {
                float x = entries[row * columns + i];
                Assert.assertTrue(decoded[i] >= -127);
                error += Math.pow(x - matrix.rowScale(row) * decoded[i], 2);
                norm += x * x;
            }
        }
        Assert.assertEquals(stats.relativeError(), error / norm, 1e-6);
        Assert.assertEquals(stats.rows(), rows);
        Assert.assertEquals(stats.blocks(), rows * columns / 8);
    }

    /** Mean relative error of Gaussian rows of 576 with row-scale search, as measured. */
    @DataProvider
    public Object[][] errors() {
        return new Object[][] {
            {PackedCode.E8_16, 0.0042},
            {PackedCode.D8_16, 0.0048},
            {PackedCode.E8_8, 0.0168},
            {PackedCode.D8_8, 0.0190},
        };
    }

    @Test(dataProvider = "errors")
    public void everyCodeHasItsError(PackedCode code, double error) {
        DistortionStats stats = new DistortionStats();
        float[] entries = GaussianRows.of(128 * 576, SEED);
        PackedMatrix matrix = PackedMatrixEncoder.encode(code, entries, 128, 576, stats);
        Assert.assertEquals(stats.meanRowError(), error, 0.02 * error);
        Assert.assertEquals(matrix.bitsPerEntry(), code.width() + 0.25 + 8.0 / 576, 1e-3);
        byte[] decoded = new byte[576];
        double difference = 0;
        for (int row = 0; row < 128; row++) {
            matrix.decodeRow(row, decoded);
            for (int i = 0; i < 576; i++) {
                difference +=
                        Math.pow(entries[row * 576 + i] - matrix.rowScale(row) * decoded[i], 2);
            }
        }
        double norm = 0;
        for (float entry : entries) {
            norm += entry * entry;
        }
        Assert.assertEquals(difference / norm, stats.relativeError(), 1e-6);
    }

    @Test
    public void gaussianRowsHaveTheMeasuredError() {
        int rows = 256;
        int columns = 576;
        DistortionStats stats = new DistortionStats();
        PackedMatrixEncoder.encode(
                PackedCode.E8_16, GaussianRows.of(rows * columns, SEED), rows, columns, stats);
        Assert.assertTrue(stats.meanRowError() < GAUSSIAN_ROW_ERROR, stats.toString());
        Assert.assertTrue(stats.worstRowError() < 0.008, stats.toString());
    }

    @Test
    public void concentratedRowsFindACoarserScale() {
        int columns = 576;
        float[] entries = GaussianRows.of(48 * columns, SEED);
        for (int row = 0; row < 48; row++) {
            entries[row * columns + row] = 6 * (1 + row);
        }
        // an entry of 48 needs u ≥ 48/127: β ≥ 2.3 for all others, which then are nearly lost
        DistortionStats stats = new DistortionStats();
        PackedMatrixEncoder.encode(PackedCode.E8_16, entries, 48, columns, stats);
        Assert.assertTrue(stats.worstRowError() < 0.09, stats.toString());
    }

    @Test
    public void rowsOfVeryDifferentSizeKeepTheirRelativeError() {
        int columns = 64;
        float[] entries = GaussianRows.of(32 * columns, SEED);
        for (int i = 0; i < entries.length; i++) {
            entries[i] *= (float) Math.pow(0.65, i / columns); // 0.65^31 = 1.6e-6
        }
        DistortionStats stats = new DistortionStats();
        PackedMatrixEncoder.encode(PackedCode.E8_16, entries, 32, columns, stats);
        Assert.assertTrue(stats.worstRowError() < 0.008, stats.toString());
    }

    @Test
    public void zeroRowsAreExactAndRowsBeyondTheLastAreZero() {
        float[] entries = GaussianRows.of(3 * 16, SEED);
        Arrays.fill(entries, 16, 32, 0);
        PackedMatrix matrix =
                PackedMatrixEncoder.encode(PackedCode.E8_16, entries, 3, 16, new DistortionStats());
        byte[] decoded = new byte[16];
        matrix.decodeRow(1, decoded);
        Assert.assertEquals(decoded, new byte[16]);
        for (int row = 3; row < 16; row++) {
            Assert.assertEquals(matrix.word(row, 1), 0);
        }
        PackedMatrixEncoder.encode(PackedCode.E8_16, new float[32], 2, 16, new DistortionStats())
                .decodeRow(0, decoded);
        Assert.assertEquals(decoded, new byte[16]);
    }

    @Test
    public void unusableEntriesAreNamed() {
        for (float bad :
                new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] entries = GaussianRows.of(32, SEED);
            entries[16 + 11] = bad;
            IllegalArgumentException e =
                    Assert.expectThrows(
                            IllegalArgumentException.class,
                            () ->
                                    PackedMatrixEncoder.encode(
                                            PackedCode.E8_16,
                                            entries,
                                            2,
                                            16,
                                            new DistortionStats()));
            Assert.assertTrue(e.getMessage().contains("column 11"), e.getMessage());
            Assert.assertTrue(e.getMessage().contains(String.valueOf(bad)), e.getMessage());
        }
    }

    @Test
    public void fourAndAQuarterBitsAreStoredAndAnEighthMoreInMemory() {
        PackedMatrix matrix = PackedMatrix.allocate(PackedCode.E8_16, 1536, 576, 1f);
        Assert.assertEquals(matrix.storedBytes(), 1536 * 576 * 17L / 32 + 1536 + 4);
        Assert.assertEquals(matrix.sizeInBytes(), 1536 * 576 * 35L / 64 + 2 + 1536 + 4);
        StoredCodes stored = StoredCodes.allocate(matrix, matrix.tiles());
        Assert.assertEquals(
                stored.words().capacity() + stored.betas().capacity() + 1536 + 4,
                matrix.storedBytes());
        Assert.assertEquals(matrix.bitsPerEntry(), 4.25 + 8.0 / 576 + 32.0 / (1536 * 576), 1e-9);
    }

    @Test
    public void shapesAndBuffersThatDoNotFitAreRejected() {
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> PackedMatrix.allocate(PackedCode.E8_16, 16, 12, 1f));
        PackedMatrix matrix = PackedMatrix.allocate(PackedCode.E8_16, 16, 16, 1f);
        Assert.assertThrows(
                IllegalArgumentException.class,
                () ->
                        new PackedMatrix(
                                PackedCode.E8_16,
                                32,
                                16,
                                1f,
                                matrix.words(),
                                matrix.betas(),
                                matrix.rowScales()));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () ->
                        new PackedMatrix(
                                PackedCode.E8_16,
                                16,
                                16,
                                0f,
                                matrix.words(),
                                matrix.betas(),
                                matrix.rowScales()));
    }
}
