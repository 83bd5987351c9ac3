package ai.djl.nestquant.integration;

import ai.djl.util.JsonUtils;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.htmlunit.WebClient;
import org.htmlunit.html.DomElement;
import org.htmlunit.html.HtmlPage;
import org.htmlunit.html.HtmlTable;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** {@code nestquant compare} on the embedded model, run as a user runs it. */
public class CompareTest {

    private static final Path SCRIPT =
            Path.of("..", "nestquant-djl", "bin", "nestquant").toAbsolutePath().normalize();

    private static final String[] METHODS = {"w4", "w4,code=int4", "w4a4kv4", "w4a4kv4,code=int4"};

    private static final long MINUTES = 5;

    private Path folder;

    @BeforeClass
    public void makeFolder() throws IOException {
        folder = Files.createTempDirectory(Path.of("target"), "compare").toAbsolutePath();
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 40; i++) {
            text.append("There was once a fox who lived in wood number ").append(i);
            text.append(", and every day he told the hare another tale. ");
        }
        Files.writeString(folder.resolve("text.txt"), text);
    }

    @AfterClass
    public void deleteFolder() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }

    private Process start(String... more) throws IOException {
        return start(8, String.join(";", METHODS), more);
    }

    private Process start(int windows, String methods, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(SCRIPT.toString(), "compare"));
        command.addAll(List.of("--text", folder.resolve("text.txt").toString()));
        command.addAll(List.of("--context", "64", "--windows", Integer.toString(windows)));
        command.addAll(List.of("--methods", methods));
        command.addAll(Arrays.asList(more));
        return new ProcessBuilder(command)
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(folder.resolve("err").toFile())
                .start();
    }

    private JsonArray finish(Process process) throws Exception {
        Assert.assertTrue(process.waitFor(MINUTES, TimeUnit.MINUTES), "still running");
        Assert.assertEquals(process.exitValue(), 0, Files.readString(folder.resolve("err")));
        String out = Files.readString(folder.resolve("out"));
        return JsonUtils.GSON.fromJson(out, JsonObject.class).getAsJsonArray("rows");
    }

    private static JsonArray rows(Path results) throws IOException {
        if (!Files.exists(results)) {
            return new JsonArray();
        }
        // a reader sees the old file or the new one, never half of one
        String json = Files.readString(results);
        return JsonUtils.GSON.fromJson(json, JsonObject.class).getAsJsonArray("rows");
    }

    @Test
    public void reportHasEveryMethodAsJsonCsvAndHtml() throws Exception {
        Path csv = folder.resolve("a.csv");
        Path html = folder.resolve("a.html");
        Path results = folder.resolve("a.json");
        JsonArray rows =
                finish(
                        start(
                                "--json",
                                "--results",
                                results.toString(),
                                "--csv",
                                csv.toString(),
                                "--html",
                                html.toString()));
        Assert.assertEquals(rows.size(), METHODS.length + 1);
        JsonObject exact = rows.get(0).getAsJsonObject();
        Assert.assertEquals(exact.get("method").getAsString(), "none");
        Assert.assertEquals(exact.get("klDivergence").getAsDouble(), 0.0);
        for (int i = 0; i < METHODS.length; i++) {
            JsonObject row = rows.get(i + 1).getAsJsonObject();
            Assert.assertEquals(row.get("method").getAsString(), METHODS[i]);
            Assert.assertTrue(row.get("klDivergence").getAsDouble() > 0);
            Assert.assertTrue(row.get("bitsPerWeight").getAsDouble() < 4.5);
            double removed = row.get("klRemoved").getAsDouble();
            Assert.assertEquals(removed > 0, i % 2 == 0, METHODS[i] + ": " + removed);
        }
        Assert.assertEquals(Files.readAllLines(csv).size(), METHODS.length + 2);
        checkPage(html);
    }

    /** A browser shows the table and the plots, and asks for nothing from elsewhere. */
    private static void checkPage(Path html) throws IOException {
        try (WebClient browser = new WebClient()) {
            HtmlPage page = browser.getPage(html.toUri().toURL());
            Assert.assertTrue(page.getTitleText().startsWith("Quantisations of "));
            HtmlTable table = page.getFirstByXPath("//table[1]");
            Assert.assertEquals(table.getRowCount(), METHODS.length + 2);
            Assert.assertEquals(table.getRow(2).getCell(0).getTextContent(), METHODS[0]);
            List<DomElement> images = page.getByXPath("//img");
            Assert.assertEquals(images.size(), 3); // two regimes and the layers
            for (DomElement image : images) {
                String[] source = image.getAttribute("src").split(",", 2);
                Assert.assertEquals(source[0], "data:image/png;base64");
                byte[] png = Base64.getDecoder().decode(source[1]);
                Assert.assertTrue(ImageIO.read(new ByteArrayInputStream(png)).getWidth() > 100);
            }
            Assert.assertFalse(Files.readString(html).contains("http"), "something from elsewhere");
        }
    }

    @Test
    public void interruptedComparisonKeepsFinishedRowsAndGoesOn() throws Exception {
        Path results = folder.resolve("b.json");
        Process process = start("--json", "--results", results.toString());
        JsonArray before = new JsonArray();
        while (before.size() < 2) {
            Assert.assertTrue(process.isAlive(), Files.readString(folder.resolve("err")));
            Thread.sleep(20);
            before = rows(results);
        }
        // the script replaces itself by java, so this ends the work at once
        process.destroyForcibly().waitFor();
        before = rows(results);
        int finished = before.size();
        Assert.assertTrue(finished >= 2 && finished <= METHODS.length + 1, "finished " + finished);
        JsonArray after = finish(start("--json", "--results", results.toString()));
        Assert.assertEquals(after.size(), METHODS.length + 1);
        for (int i = 0; i < finished; i++) {
            for (String key : List.of("method", "quantizationSeconds", "scoringSeconds")) {
                JsonElement kept = before.get(i).getAsJsonObject().get(key);
                Assert.assertEquals(after.get(i).getAsJsonObject().get(key), kept, key);
            }
        }
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> left = files.filter(f -> f.toString().contains("logits")).toList();
            Assert.assertEquals(left, List.of(), "logits left behind");
        }
    }

    @Test
    public void timesAreAddedToRowsThatLackThem() throws Exception {
        String results = folder.resolve("d.json").toString();
        String calibration = folder.resolve("text.txt").toString();
        String[] arguments = {"--json", "--results", results, "--calibration", calibration};
        String[] without = Arrays.copyOf(arguments, arguments.length + 1);
        without[arguments.length] = "--no-times";
        String method = "w3,code=e8,rounding=ldlq";
        JsonObject first = finish(start(1, method, without)).get(1).getAsJsonObject();
        Assert.assertEquals(first.get("method").getAsString(), method);
        Assert.assertTrue(first.get("calibration").getAsString().startsWith("text.txt (CRC-32 "));
        JsonObject second = finish(start(1, method, arguments)).get(1).getAsJsonObject();
        Assert.assertEquals(second.get("scoringSeconds"), first.get("scoringSeconds"));
        for (String key :
                List.of("quantizationSeconds", "stepTokensPerSecond", "peakResidentBytes")) {
            Assert.assertFalse(first.has(key), key);
            Assert.assertTrue(second.get(key).getAsDouble() > 0, key);
        }
    }

    @Test
    public void resultsOfAnotherComparisonAreNotMixedIn() throws Exception {
        Path results = folder.resolve("c.json");
        Assert.assertEquals(
                finish(start(1, "w4;w4", "--json", "--results", results.toString())).size(), 2);
        Assert.assertEquals(start(2, "w4", "--results", results.toString()).waitFor(), 1);
        String message = Files.readString(folder.resolve("err"));
        Assert.assertTrue(message.contains("another comparison"), message);
        Files.writeString(results, "{");
        Assert.assertEquals(start("--results", results.toString()).waitFor(), 1);
        Assert.assertTrue(Files.readString(folder.resolve("err")).contains("is no results file"));
    }
}
