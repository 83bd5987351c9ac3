package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class LatticeQuantizerTest {
    private static final int COLUMNS = 576;
    private static final int ROWS = 100;

    /** Ladders with searched row scales: bits without the row scale, and measured errors + 3%. */
    @DataProvider
    public Object[][] ladders() {
        return new Object[][] {
            {CoarseLattice.GOSSET, 16, Ladder.E8_16, 4.25, 0.00430},
            {CoarseLattice.GOSSET, 14, Ladder.E8_14, 4.0574, 0.00560},
            {CoarseLattice.GOSSET, 8, Ladder.E8_8, 3.25, 0.01738},
            {CoarseLattice.GOSSET, 4, Ladder.E8_4, 2.25, 0.0775},
            {CoarseLattice.DUAL_CHECKERBOARD, 16, Ladder.D8_16, 4.25, 0.00498},
            {CoarseLattice.GOSSET, 64, Ladder.E8_64, 6.25, 0.00028},
        };
    }

    @Test(dataProvider = "ladders")
    public void laddersReachTheirDistortion(
            CoarseLattice coarse, int ratio, Ladder ladder, double bits, double bound) {
        RowQuantizer quantizer =
                LatticeQuantizer.searched(new VoronoiCode(coarse, ratio), ladder.betas());
        Assert.assertEquals(quantizer.bitsPerEntry(COLUMNS), bits + 8.0 / COLUMNS, 1e-4);
        double error = relativeError(quantizer);
        Assert.assertTrue(error <= bound, quantizer.name() + " " + error);
    }

    @Test
    public void nearLosslessCodeStaysBelowItsBitsAndDistortion() {
        RowQuantizer quantizer =
                LatticeQuantizer.searched(
                        new VoronoiCode(CoarseLattice.GOSSET, 64), Ladder.E8_64.betas());
        Assert.assertTrue(quantizer.bitsPerEntry(COLUMNS) <= 6.3);
        Assert.assertTrue(relativeError(quantizer) <= 0.0004);
    }

    @Test
    public void ladderRowsAreSmallIntegersTimesOneScale() {
        Ladder ladder = Ladder.E8_8;
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 8);
        float[] row = GaussianRows.of(COLUMNS, 5);
        row[17] = 9; // an outlier, beyond 127 units
        BlockEncoder encoder = new BlockEncoder(code, ladder.betas(), BetaPolicy.INNER_FIT);
        encoder.setRowScale((float) ladder.unit());
        for (int i = 0; i < COLUMNS; i += 8) {
            encoder.encode(row, i);
            for (int y : encoder.point()) {
                Assert.assertTrue(Math.abs(ladder.step(encoder.betaIndex()) * y) <= 127);
            }
        }
    }

    @Test
    public void rowsAtAnOffsetAreQuantizedInPlace() {
        RowQuantizer quantizer =
                LatticeQuantizer.normalized(
                        new VoronoiCode(CoarseLattice.GOSSET, 16),
                        GaussianBetas.E8_16_K4,
                        BetaPolicy.BEST_FIT);
        float[] rows = GaussianRows.of(2 * COLUMNS, 5);
        float[] decoded = new float[2 * COLUMNS];
        quantizer.quantize(rows, COLUMNS, COLUMNS, decoded);
        float[] inPlace = rows.clone();
        quantizer.quantize(inPlace, COLUMNS, COLUMNS, inPlace);
        for (int i = 0; i < COLUMNS; i++) {
            Assert.assertEquals(decoded[i], 0f);
            Assert.assertEquals(inPlace[i], rows[i]);
            Assert.assertEquals(inPlace[COLUMNS + i], decoded[COLUMNS + i]);
        }
    }

    @Test
    public void zeroRowsStayZeroAndUnusableEntriesAreNamed() {
        RowQuantizer quantizer =
                LatticeQuantizer.searched(
                        new VoronoiCode(CoarseLattice.GOSSET, 16), Ladder.E8_16.betas());
        float[] row = new float[16];
        Assert.assertEquals(quantizer.quantize(row, 0, 16, row), 0);
        Assert.assertEquals(row, new float[16]);
        row[9] = Float.NaN;
        IllegalArgumentException e =
                Assert.expectThrows(
                        IllegalArgumentException.class, () -> quantizer.quantize(row, 0, 16, row));
        Assert.assertTrue(e.getMessage().contains("column 9"), e.getMessage());
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> quantizer.quantize(new float[16], 0, 12, new float[16]));
    }

    private static double relativeError(RowQuantizer quantizer) {
        float[] rows = GaussianRows.of(ROWS * COLUMNS, 11);
        float[] decoded = new float[rows.length];
        double error = 0;
        double norm = 0;
        for (int row = 0; row < ROWS; row++) {
            quantizer.quantize(rows, row * COLUMNS, COLUMNS, decoded);
        }
        for (int i = 0; i < rows.length; i++) {
            error += Math.pow(rows[i] - decoded[i], 2);
            norm += rows[i] * rows[i];
        }
        return error / norm;
    }
}
