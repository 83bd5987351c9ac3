package ai.djl.nestquant.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

public class EmbeddedModelTest {

    private Path cache;

    @BeforeMethod
    public void createCache() throws IOException {
        cache = Files.createTempDirectory("nestquant-cache");
    }

    @AfterMethod
    public void deleteCache() throws IOException {
        try (Stream<Path> paths = Files.walk(cache)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    private List<Path> cached() throws IOException {
        try (Stream<Path> paths = Files.list(cache)) {
            return paths.toList();
        }
    }

    @Test
    public void modelIsUnpackedOnceAndComplete() throws IOException {
        Path directory = EmbeddedModel.unpack(cache);
        Assert.assertEquals(cached(), List.of(directory));
        Path weights = directory.resolve("model.safetensors");
        Assert.assertEquals(Files.size(weights), 5_516_032L);
        var time = Files.getLastModifiedTime(weights);
        Assert.assertEquals(EmbeddedModel.unpack(cache), directory);
        Assert.assertEquals(Files.getLastModifiedTime(weights), time);
        Tokenizers.open(directory).close();
    }

    @Test
    public void concurrentUnpackingLeavesOneCompleteDirectory() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            Callable<Path> unpack = () -> EmbeddedModel.unpack(cache);
            for (Future<Path> path : threads.invokeAll(List.of(unpack, unpack, unpack, unpack))) {
                Assert.assertEquals(List.of(path.get()), cached());
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    public void damagedCopyIsRefusedNamingTheFile() throws IOException {
        Path config = EmbeddedModel.unpack(cache).resolve("config.json");
        Files.writeString(config, "{}");
        IOException e = Assert.expectThrows(IOException.class, () -> EmbeddedModel.unpack(cache));
        Assert.assertTrue(e.getMessage().startsWith(config.toString()), e.getMessage());
    }
}
