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

    private static final String[] METHODS = {"w4", "w4,code=int4", "w4a4kv4", "w4a4kv4,code=int4"};

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

    private CommandLine startAll(Object... more) throws IOException {
        return start(8, String.join(";", METHODS), more);
    }

    private CommandLine start(int windows, String methods, Object... more) throws IOException {
        List<Object> arguments = new ArrayList<>(List.of("compare", "--context", 64));
        arguments.addAll(List.of("--text", folder.resolve("text.txt")));
        arguments.addAll(List.of("--windows", windows, "--methods", methods));
        arguments.addAll(Arrays.asList(more));
        return CommandLine.start(arguments.toArray());
    }

    private static JsonArray finish(CommandLine process) throws Exception {
        return process.finish().json().getAsJsonArray("rows");
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
                finish(startAll("--json", "--results", results, "--csv", csv, "--html", html));
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
        CommandLine process = startAll("--json", "--results", results);
        JsonArray before = new JsonArray();
        while (before.size() < 2) {
            Assert.assertTrue(process.isRunning(), process.err());
            Thread.sleep(20);
            before = rows(results);
        }
        process.kill();
        before = rows(results);
        int finished = before.size();
        Assert.assertTrue(finished >= 2 && finished <= METHODS.length + 1, "finished " + finished);
        JsonArray after = finish(startAll("--json", "--results", results));
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
        Path results = folder.resolve("d.json");
        Path calibration = folder.resolve("text.txt");
        Object[] arguments = {"--json", "--results", results, "--calibration", calibration};
        Object[] without = Arrays.copyOf(arguments, arguments.length + 1);
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
        Assert.assertEquals(finish(start(1, "w4;w4", "--json", "--results", results)).size(), 2);
        CommandLine.Result other = start(2, "w4", "--results", results).finish();
        Assert.assertEquals(other.exitCode(), 1);
        Assert.assertTrue(other.err().contains("another comparison"), other.err());
        Files.writeString(results, "{");
        CommandLine.Result damaged = startAll("--results", results).finish();
        Assert.assertEquals(damaged.exitCode(), 1);
        Assert.assertTrue(damaged.err().contains("is no results file"), damaged.err());
    }
}
