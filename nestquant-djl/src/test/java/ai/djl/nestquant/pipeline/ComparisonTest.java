package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.model.CodedLayer;
import ai.djl.nestquant.model.QuantizationConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

public class ComparisonTest {

    private static final TokenWindows WINDOWS =
            new TokenWindows(LongStream.range(0, 25).toArray(), 10, 0);
    private static final ComparisonSettings SETTINGS = ComparisonSettings.of("m", 10, WINDOWS);

    private Path folder;

    @BeforeMethod
    public void makeFolder() throws IOException {
        folder = Files.createTempDirectory("comparison");
    }

    @AfterMethod
    public void deleteFolder() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }

    private static ComparisonRow row(String method, double gap, double kl) {
        return row(method, null, gap, kl);
    }

    private static ComparisonRow row(String method, String calibration, double gap, double kl) {
        QuantizationConfig config = QuantizationConfig.parse(method);
        return new ComparisonRow(
                config.toString(),
                calibration,
                ComparisonRow.regime(config),
                config.code().simulated(),
                4.25,
                32,
                100,
                10 + gap,
                gap,
                null,
                null,
                kl,
                kl / 2,
                kl * 2,
                0.9,
                null,
                null,
                null,
                12.5,
                null,
                null,
                2,
                "portable",
                List.of(new CodedLayer("layer0/q_proj", 64, 4.25, 0.004, false)));
    }

    @Test
    public void sharesAreOfRotatedIntegersInTheSameRegimeWithTheSameParts() {
        ComparisonReport report =
                new ComparisonReport(
                        SETTINGS,
                        List.of(
                                row("none", 0, 0),
                                row("w4", 1, 0.1),
                                row("w4,code=int4", 4, 0.4),
                                row("w4,balance=off", 2, 0.2),
                                row("w4,balance=off,code=int4", 8, 0.5),
                                row("w4,balance=off,head=float", 1, 0.3),
                                row("w4kv4", 1, 0.1)));
        double[][] removed = {{0.75, 0.75}, {0, 0}, {0.75, 0.6}, {0, 0}, {0.75, 0.25}};
        for (int i = 0; i < removed.length; i++) {
            ComparisonRow row = report.rows().get(i + 1);
            Assert.assertEquals(row.gapRemoved(), removed[i][0], 1e-12, row.method());
            Assert.assertEquals(row.klRemoved(), removed[i][1], 1e-12, row.method());
        }
        Assert.assertNull(report.rows().get(0).klRemoved());
        Assert.assertNull(report.rows().get(6).klRemoved());
    }

    @Test
    public void regimesNameWhatIsCoded() {
        String[][] regimes = {
            {"none", "float"},
            {"w4", "W"},
            {"w3kv4", "W+KV"},
            {"w4a4kv4", "W+A+KV"},
            {"w4a8", "W+A8"},
            {"kv4,code=mxfp4", "KV"}
        };
        for (String[] regime : regimes) {
            QuantizationConfig config = QuantizationConfig.parse(regime[0]);
            Assert.assertEquals(ComparisonRow.regime(config), regime[1]);
        }
    }

    @Test
    public void reportSurvivesJsonAndMissingValuesAreEmpty() {
        ComparisonReport report =
                new ComparisonReport(SETTINGS, List.of(row("none", 0, 0), row("w4", 1, 0.1)));
        Assert.assertEquals(ComparisonReport.ofJson(report.toJson()), report);
        String csv = report.toFullTable().toCsv();
        Assert.assertEquals(csv.lines().count(), 3);
        Assert.assertTrue(
                csv.lines().toList().get(2).startsWith("w4,,W,false,4.25,32.0,100,11.0,"));
        Assert.assertTrue(report.toTable().toMarkdown().startsWith("| method | regime |"));
    }

    @Test
    public void paperTableHasALineForEachCodeAndAColumnForEachRegime() throws IOException {
        ComparisonReport report =
                new ComparisonReport(
                        SETTINGS,
                        List.of(
                                row("none", 0, 0),
                                row("w4", 1, 0.1),
                                row("w4kv4", 2, 0.2),
                                row("w4kv4,code=int4", 3, 0.3)));
        Assert.assertEquals(
                report.toPaperTable().toCsv(),
                "perplexity (KL),W,W+KV\n"
                        + "float,10.00,10.00\n"
                        + "code=d8,11.00 (0.100),12.00 (0.200)\n"
                        + "code=int4,,13.00 (0.300)\n");
        Path file = folder.resolve("page.md");
        ComparisonPage.writeMarkdown(report, file);
        String text = Files.readString(file);
        for (String image : List.of("page-W.png", "page-W-KV.png", "page-layers.png")) {
            Assert.assertTrue(text.contains("](" + image + ")"), image);
            Assert.assertTrue(Files.size(folder.resolve(image)) > 0, image);
        }
    }

    @Test
    public void layersCostWhatTheirPartsDoAlone() {
        QuantizationConfig method = QuantizationConfig.parse("w4a4kv4,rounding=ldlq");
        Assert.assertEquals(
                ComparisonMethods.partsOfLayer(method, 1).toString(),
                "{W=w4,rounding=ldlq,only=model.layers.1.*,"
                        + " A=w4a4,rounding=ldlq,only=model.layers.1.*,"
                        + " KV=kv4,only=model.layers.1.*}");
        List<LayerCost> costs =
                List.of(
                        new LayerCost("w4a8", 0, "W", 0.125),
                        new LayerCost("w4a8", 0, "A", 0.5),
                        new LayerCost("w4a8", 1, "W", 0.25),
                        new LayerCost("w4a8", 1, "A", 0.75));
        ComparisonReport report = new ComparisonReport(SETTINGS, List.of(row("none", 0, 0)), costs);
        Assert.assertEquals(
                report.toSensitivityTable().toCsv(),
                "layer,W of w4a8,A of w4a8\n0,0.12500,0.50000\n1,0.25000,0.75000\n"
                        + "sum,0.37500,1.25000\n");
    }

    @Test
    public void linesOfThePaperTableKeepOtherBitsApart() {
        List<ComparisonRow> rows = List.of(row("none", 0, 0), row("w4", 1, 0.1), row("w3", 2, 0.3));
        Assert.assertEquals(
                new ComparisonReport(SETTINGS, rows).toPaperTable().toCsv(),
                "perplexity (KL),W\nfloat,10.00\ncode=d8,11.00 (0.100)\n\"w3,code=d8\",12.00 (0.300)\n");
    }

    @Test
    public void fileKeepsRowsAndRefusesOthers() throws IOException {
        Path path = folder.resolve("results.json");
        ComparisonFile file = new ComparisonFile(path, SETTINGS);
        Assert.assertNull(file.get("w4", null));
        file.add(row("w4", 1, 0.1));
        file.add(row("w4", "text.txt", 2, 0.2));
        file.add(row("w3", 2, 0.4));
        file.add(row("w3", 2, 0.3));
        ComparisonFile again = new ComparisonFile(path, SETTINGS);
        Assert.assertEquals(again.get("w4", null), row("w4", 1, 0.1));
        Assert.assertEquals(again.get("w4", "text.txt"), row("w4", "text.txt", 2, 0.2));
        Assert.assertNull(again.get("w4", "other.txt"));
        Assert.assertEquals(again.get("w3", null), row("w3", 2, 0.3));
        try (Stream<Path> files = Files.list(folder)) {
            Assert.assertEquals(files.toList(), List.of(path)); // no temporary one is left
        }
        ComparisonSettings others = ComparisonSettings.of("other", 10, WINDOWS);
        Assert.assertThrows(IOException.class, () -> new ComparisonFile(path, others));
        for (String damaged : new String[] {"", "{", "[]", "{}", "null"}) {
            Files.writeString(path, damaged);
            IOException e =
                    Assert.expectThrows(
                            IOException.class, () -> new ComparisonFile(path, SETTINGS));
            Assert.assertTrue(e.getMessage().contains("results.json"), e.getMessage());
        }
    }

    @Test
    public void cachedLogitsAreThoseThatWerePut() throws IOException {
        try (NDManager manager = NDManager.newBaseManager("PyTorch");
                LogitsCache cache = new LogitsCache(folder, WINDOWS, 7)) {
            float[][] expected = new float[WINDOWS.count()][];
            for (int i = 0; i < WINDOWS.count(); i++) {
                int tokens = WINDOWS.window(i).length;
                NDArray logits = manager.randomNormal(new Shape(1, tokens, 7));
                expected[i] = logits.toFloatArray();
                cache.put(i, logits);
            }
            for (int i = WINDOWS.count() - 1; i >= 0; i--) {
                NDArray ids = Perplexity.ids(WINDOWS, i, 1, manager);
                Assert.assertEquals(cache.get(ids, i).toFloatArray(), expected[i]);
            }
        }
        try (Stream<Path> files = Files.list(folder)) {
            Assert.assertEquals(files.toList(), List.of());
        }
    }

    @Test
    public void listsOfMethodsAreNamedOrSpelledOut() {
        Assert.assertEquals(ComparisonMethods.parse("w4; w4,code=d8 ;kv4").size(), 2);
        List<QuantizationConfig> all = ComparisonMethods.parse("default");
        Assert.assertEquals(ComparisonMethods.parse("weights;cache;full;quick"), all);
        Assert.assertTrue(all.contains(QuantizationConfig.parse("w4a4kv4,code=int4")));
        Assert.assertTrue(all.stream().noneMatch(QuantizationConfig::calibrates));
        Assert.assertTrue(
                ComparisonMethods.parse("calibrated").stream()
                        .allMatch(QuantizationConfig::calibrates));
        Assert.assertThrows(
                IllegalArgumentException.class, () -> ComparisonMethods.parse("w4;nonsense"));
        Assert.assertThrows(IllegalArgumentException.class, () -> ComparisonMethods.parse(""));
    }
}
