package ai.djl.nestquant.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The contract of {@code nestquant study}. */
public class StudyCommandTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @Test
    public void distortionPrintsOneObjectWithTheseKeys() {
        Assert.assertEquals(run("study", "distortion", "--samples", "8192", "--json"), 0);
        JsonObject json = JsonParser.parseString(output()).getAsJsonObject();
        Assert.assertEquals(json.get("samples").getAsInt(), 8192);
        checkRows(json, "code", "k", "bitsPerEntry", "distortion", "overloadRate");
    }

    @Test
    public void productPrintsOneObjectWithTheseKeys() {
        Assert.assertEquals(run("study", "product", "--size", "64", "--json"), 0);
        JsonObject json = JsonParser.parseString(output()).getAsJsonObject();
        Assert.assertEquals(json.get("size").getAsInt(), 64);
        checkRows(json, "code", "k", "bitsPerEntry", "productError", "bound");
    }

    private static void checkRows(JsonObject json, String... keys) {
        JsonArray rows = json.getAsJsonArray("rows");
        Assert.assertTrue(rows.size() > 10, "rows: " + rows.size());
        rows.forEach(
                row ->
                        Assert.assertTrue(
                                row.getAsJsonObject().keySet().containsAll(List.of(keys))));
    }

    @Test
    public void filesAreWrittenBesideTheTable() throws IOException {
        Path folder = Files.createTempDirectory("study");
        Path csv = folder.resolve("study.csv");
        Path plot = folder.resolve("study.png");
        try {
            int code =
                    run(
                            "study",
                            "distortion",
                            "--samples",
                            "8192",
                            "--csv",
                            csv.toString(),
                            "--plot",
                            plot.toString());
            Assert.assertEquals(code, 0, err.toString(StandardCharsets.UTF_8));
            Assert.assertEquals(Files.readAllLines(csv).size(), output().lines().count());
            Assert.assertNotNull(ImageIO.read(plot.toFile()));
        } finally {
            Files.deleteIfExists(csv);
            Files.deleteIfExists(plot);
            Files.delete(folder);
        }
    }

    @Test
    public void wrongUsageIsToldBeforeAnyWork() {
        Assert.assertEquals(run("study"), 2);
        Assert.assertEquals(run("study", "product", "--size", "65"), 2);
        Assert.assertTrue(err.toString(StandardCharsets.UTF_8).contains("65"));
        Assert.assertEquals(run("study", "distortion", "--samples", "0"), 2);
        Assert.assertEquals(run("study", "distortion", "--csv", "no/such/folder.csv"), 2);
        Assert.assertEquals(output(), "");
    }

    private String output() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private int run(String... args) {
        out.reset();
        err.reset();
        PrintStream stdout = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream stderr = new PrintStream(err, true, StandardCharsets.UTF_8);
        return Main.run(new Streams(InputStream.nullInputStream(), stdout, stderr), args);
    }
}
