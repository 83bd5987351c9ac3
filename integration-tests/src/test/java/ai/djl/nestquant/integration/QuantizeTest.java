package ai.djl.nestquant.integration;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** {@code nestquant quantize} as a process that is killed and started again. */
public class QuantizeTest {

    private Path folder;

    @BeforeClass
    public void makeFolder() throws IOException {
        folder = Files.createTempDirectory("nestquant-quantize");
    }

    @AfterClass(alwaysRun = true)
    public void deleteFolder() throws IOException {
        try (Stream<Path> walk = Files.walk(folder)) {
            for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    private static CommandLine start(Path target) throws IOException {
        return CommandLine.start("quantize", "--quantization", "w4a8kv4", "--out", target);
    }

    private static void finish(CommandLine run) throws Exception {
        CommandLine.Result result = run.finish();
        Assert.assertEquals(result.exitCode(), 0, result.err());
    }

    private static List<Path> files(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> list = Files.list(directory)) {
            return list.sorted().toList();
        }
    }

    @Test
    public void killedRunsGoOnAndGiveTheBytesOfOneThatWasNot() throws Exception {
        Path whole = folder.resolve("whole");
        finish(start(whole));
        Path target = folder.resolve("killed");
        Path partial = folder.resolve("killed.partial");
        List<Integer> progress = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
            int before = files(partial).size();
            CommandLine process = start(target);
            while (process.isRunning() && files(partial).size() <= before) {
                Thread.sleep(2); // so that the kill comes soon after a new file
            }
            process.kill();
            Assert.assertFalse(Files.exists(target), "killed too late, in round " + round);
            progress.add(files(partial).size());
        }
        Assert.assertTrue(progress.get(2) > progress.get(0), "files after each round " + progress);
        finish(start(target));
        Assert.assertFalse(Files.exists(partial), "leftovers");
        List<Path> expected = files(whole);
        Assert.assertEquals(files(target).size(), expected.size());
        for (Path file : expected) {
            Path same = target.resolve(file.getFileName());
            Assert.assertEquals(Files.mismatch(file, same), -1, file.getFileName().toString());
        }
    }
}
