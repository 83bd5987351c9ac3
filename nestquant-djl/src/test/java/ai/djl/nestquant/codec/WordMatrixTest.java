package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.nio.ByteBuffer;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class WordMatrixTest {
    private static final int ROWS = 20;
    private static final int COLUMNS = 576;

    @DataProvider
    public Object[][] codes() {
        return new Object[][] {
            {CoarseLattice.GOSSET, 4, Ladder.E8_4.betas(), 2.25},
            {CoarseLattice.GOSSET, 8, Ladder.E8_8.betas(), 3.25},
            {CoarseLattice.GOSSET, 16, Ladder.E8_16.betas(), 4.25},
            {CoarseLattice.DUAL_CHECKERBOARD, 16, Ladder.D8_16.betas(), 4.25},
            {CoarseLattice.DUAL_CHECKERBOARD, 16, GaussianBetas.E8_16_K2, 4.0},
            {CoarseLattice.GOSSET, 64, Ladder.E8_64.betas(), 6.25},
            {CoarseLattice.GOSSET, 256, GaussianBetas.E8_16_K8, 8.375},
        };
    }

    @Test(dataProvider = "codes")
    public void rowsDecodeToWhatTheStatisticsSayInTheSizeOfTheCode(
            CoarseLattice coarse, int ratio, BetaSet betas, double bits) {
        float[] entries = GaussianRows.of(ROWS * COLUMNS, 2);
        VoronoiCode code = new VoronoiCode(coarse, ratio);
        DistortionStats stats = new DistortionStats();
        WordMatrix matrix = WordMatrix.encode(entries, ROWS, COLUMNS, code, betas, stats);
        double stored = bits + 8.0 / COLUMNS + 32.0 / (ROWS * COLUMNS);
        Assert.assertEquals(matrix.bitsPerEntry(), stored, 1e-9);
        float[] decoded = new float[COLUMNS];
        double error = 0;
        double norm = 0;
        for (int row = 0; row < ROWS; row++) {
            matrix.decodeRow(row, decoded, 0);
            for (int i = 0; i < COLUMNS; i++) {
                float x = entries[row * COLUMNS + i];
                error += Math.pow(x - decoded[i], 2);
                norm += x * x;
            }
        }
        Assert.assertEquals(error / norm, stats.relativeError(), 1e-5 * error / norm);
    }

    @Test
    public void rowsCanBeEncodedAgain() {
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 8);
        float[] entries = GaussianRows.of(3 * 24, 2);
        WordMatrix matrix =
                WordMatrix.encode(entries, 3, 24, code, Ladder.E8_8.betas(), new DistortionStats());
        ByteBuffer before = ByteBuffer.allocate(matrix.bytes().capacity()).put(matrix.bytes());
        matrix.encodeRow(1, new float[24], 0, new DistortionStats());
        float[] decoded = new float[24];
        matrix.decodeRow(1, decoded, 0);
        Assert.assertEquals(decoded, new float[24]);
        matrix.encodeRow(1, entries, 24, new DistortionStats());
        Assert.assertEquals(matrix.bytes(), before.flip());
    }

    @Test
    public void sizesThatDoNotFitAreRejected() {
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 8);
        BetaSet betas = Ladder.E8_8.betas();
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> new WordMatrix(2, 24, code, betas, 1f, ByteBuffer.allocate(21)));
        Assert.assertThrows(
                IllegalArgumentException.class, () -> WordMatrix.allocate(2, 20, code, betas, 1f));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> WordMatrix.allocate(2, 24, code, GaussianBetas.E8_16_K1, 0f));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> WordMatrix.allocate(2, 24, code, BetaSet.of(1, 2, 3), 1f));
    }
}
