package ai.djl.nestquant.kernels;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

public class NativeLibraryTest {
    private Path cache;

    /** Makes an empty cache directory. */
    @BeforeMethod
    public void makeCache() throws IOException {
        cache = Files.createTempDirectory("nestquant-cache");
    }

    /** Deletes it. */
    @AfterMethod
    public void deleteCache() throws IOException {
        try (Stream<Path> files = Files.walk(cache)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @Test
    public void corruptAndTruncatedCopiesAreReplaced() throws IOException {
        Path file = cached();
        byte[] library = Files.readAllBytes(file);
        byte[] corrupt = library.clone();
        corrupt[corrupt.length / 2] ^= 1;
        for (byte[] wrong : new byte[][] {corrupt, new byte[0], new byte[] {127, 'E', 'L', 'F'}}) {
            Files.write(file, wrong);
            Assert.assertEquals(cached(), file);
            Assert.assertEquals(Files.readAllBytes(file), library);
        }
        try (Stream<Path> files = Files.list(file.getParent())) {
            Assert.assertEquals(files.toList(), List.of(file), "nothing else is left behind");
        }
    }

    @Test
    public void goodCopiesAreLeftAlone() throws IOException {
        Path file = cached();
        Object key = Files.readAttributes(file, "fileKey,lastModifiedTime");
        Assert.assertEquals(Files.readAttributes(cached(), "fileKey,lastModifiedTime"), key);
    }

    @Test
    public void platformsWithoutALibraryAreNamed() {
        FileNotFoundException e =
                Assert.expectThrows(
                        FileNotFoundException.class,
                        () -> NativeLibrary.cached("vax-pdp11", cache));
        Assert.assertTrue(e.getMessage().contains("vax-pdp11"), e.getMessage());
    }

    @Test
    public void unknownKernelsAreRefused() {
        IllegalArgumentException e =
                Assert.expectThrows(
                        IllegalArgumentException.class, () -> KernelChoice.make("avx1024", 1));
        Assert.assertTrue(e.getMessage().contains("avx1024"), e.getMessage());
        Assert.assertEquals(KernelChoice.make("portable", 1).name(), "portable");
    }

    @Test
    public void coresAreNoMoreThanProcessors() {
        int cores = KernelChoice.cores();
        Assert.assertTrue(
                cores >= 1 && cores <= Runtime.getRuntime().availableProcessors(), "" + cores);
    }

    private Path cached() throws IOException {
        if (NativeLibrary.problem() != null) {
            throw new SkipException(NativeLibrary.problem());
        }
        return NativeLibrary.cached(NativeLibrary.platform(), cache);
    }
}
