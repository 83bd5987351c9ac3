package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.lattice.CoarseLattice;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The studies at reduced size. */
public class StudiesTest {
    private static final int SAMPLES = 1 << 17;
    private static final int SIZE = 256;

    @Test
    public void everyCodeStaysAboveShannonsBound() {
        DistortionReport report =
                DistortionStudy.run(new DistortionStudy.Options(SAMPLES, 1), StudyProgress.SILENT);
        double rate = 0;
        for (DistortionReport.Row row : report.rows()) {
            Assert.assertTrue(row.distortion() > row.bound(), row.toString());
            Assert.assertTrue(row.bitsPerEntry() >= rate, row.toString());
            Assert.assertTrue(row.overloadRate() >= 0 && row.overloadRate() <= 1, row.toString());
            rate = row.bitsPerEntry();
        }
    }

    /**
     * Limits 2% above the first simulation's distortions (the ladder's scale is not searched here),
     * and one order of codes whatever the sample.
     */
    @Test
    public void latticeCodesReachTheirDistortionOnEverySample() {
        List<StudyCode> codes = new ArrayList<>();
        int[] sixteen = {16};
        codes.addAll(StudyCodes.lattices(CoarseLattice.GOSSET, sixteen, 4));
        codes.add(StudyCodes.ladders().get(0));
        codes.addAll(StudyCodes.lattices(CoarseLattice.DUAL_CHECKERBOARD, sixteen, 8));
        codes.addAll(StudyCodes.lattices(CoarseLattice.GOSSET_FIXED, sixteen, 4));
        codes.addAll(StudyCodes.lattices(CoarseLattice.GOSSET, new int[] {14}, 4));
        double[] limits = {0.00445, 0.0046, 0.00478, 0.00568, 0.00592};
        for (long seed = 1; seed <= 3; seed++) {
            DistortionStudy.Options options = new DistortionStudy.Options(SAMPLES, seed);
            double last = 0;
            for (int i = 0; i < limits.length; i++) {
                List<StudyCode> one = codes.subList(i, i + 1);
                DistortionReport.Row row =
                        DistortionStudy.run(options, one, StudyProgress.SILENT).rows().get(0);
                Assert.assertTrue(row.distortion() <= limits[i], row + ", seed " + seed);
                Assert.assertTrue(row.distortion() > last * 0.99, row + ", seed " + seed);
                last = row.distortion();
            }
        }
    }

    /** To first order the errors of both factors add up: 2D for a product. */
    @Test
    public void productErrorIsTheSumOfTheFactorsErrors() {
        ProductReport report =
                ProductStudy.run(new ProductStudy.Options(SIZE, 1), StudyProgress.SILENT);
        for (ProductReport.Row row : report.rows()) {
            Assert.assertTrue(row.productError() > row.bound(), row.toString());
            if (row.distortion() < 0.02) {
                double expected = 2 * row.distortion();
                Assert.assertEquals(row.productError(), expected, 0.1 * expected, row.toString());
            }
        }
    }

    @Test
    public void sameSeedSameReport() {
        DistortionStudy.Options options = new DistortionStudy.Options(8192, 3);
        List<StudyCode> codes = StudyCodes.formats();
        Assert.assertEquals(
                DistortionStudy.run(options, codes, StudyProgress.SILENT),
                DistortionStudy.run(options, codes, StudyProgress.SILENT));
    }

    @Test
    public void progressCountsToTheEnd() {
        List<Integer> seen = new ArrayList<>();
        DistortionStudy.run(
                new DistortionStudy.Options(1, 3),
                StudyCodes.formats(),
                (code, done, total) -> seen.add(total - done));
        Assert.assertEquals(seen, List.of(2, 1, 0));
    }

    @Test
    public void reportsHaveTheirJsonCsvTableAndPlot() throws IOException {
        DistortionReport report =
                DistortionStudy.run(
                        new DistortionStudy.Options(1, 3),
                        StudyCodes.formats(),
                        StudyProgress.SILENT);
        JsonObject json = JsonParser.parseString(report.toJson()).getAsJsonObject();
        JsonArray rows = json.getAsJsonArray("rows");
        Assert.assertEquals(rows.size(), 3);
        for (String key : List.of("code", "k", "bitsPerEntry", "distortion", "overloadRate")) {
            Assert.assertTrue(rows.get(0).getAsJsonObject().has(key), key);
        }
        String csv = report.toTable().toCsv();
        Assert.assertEquals(csv.lines().count(), 4);
        Assert.assertTrue(csv.startsWith("code,k,bitsPerEntry,distortion,overloadRate,bound,dB\n"));
        Assert.assertEquals(report.toTable().toText().lines().count(), 4);
        Path plot = Files.createTempFile("plot", ".png");
        try {
            report.toPlot().write(plot);
            Assert.assertEquals(ImageIO.read(plot.toFile()).getWidth(), 1700);
        } finally {
            Files.delete(plot);
        }
    }

    @Test
    public void badOptionsAreNamed() {
        Assert.assertThrows(
                IllegalArgumentException.class, () -> new DistortionStudy.Options(0, 1));
        Assert.assertThrows(IllegalArgumentException.class, () -> new ProductStudy.Options(100, 1));
    }
}
