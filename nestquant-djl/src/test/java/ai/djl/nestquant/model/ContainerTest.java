package ai.djl.nestquant.model;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.checkpoint.ContainerManifest;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.training.ParameterStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Quantised folders of the embedded model: written, read, refused. */
public class ContainerTest {

    private static final long[] IDS = LongStream.range(1, 40).map(i -> i * 53 % 2000).toArray();
    private static final String VERSION = "test";
    private static final String MIXED = "w4a8,w3=*.up_proj,w8=*.v_proj,w4=model.layers.3.*";

    private Path folder;

    @BeforeMethod
    public void createFolder() throws IOException {
        folder = Files.createTempDirectory("container-test");
    }

    @AfterMethod(alwaysRun = true)
    public void deleteFolder() throws IOException {
        try (Stream<Path> walk = Files.walk(folder)) {
            for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    private static NDManager newManager() {
        return Engine.getEngine("PyTorch").newBaseManager(Device.cpu());
    }

    private ContainerManifest write(Path target, String quantization, Path source)
            throws Exception {
        try (NDManager manager = newManager()) {
            return ContainerWriter.write(
                    source,
                    target,
                    QuantizationConfig.parse(quantization),
                    IDS,
                    VERSION,
                    manager,
                    (parts, total, weights) -> {});
        }
    }

    private Path write(String quantization) throws Exception {
        Path target = folder.resolve("quantised");
        write(target, quantization, EmbeddedModel.path());
        return target;
    }

    private static float[] logits(CausalLm model, NDManager manager) {
        NDArray ids = manager.create(IDS, new Shape(1, IDS.length));
        return model.logits(new ParameterStore(manager, false), ids, null, false).toFloatArray();
    }

    private static float[] logits(Path directory, String quantization) throws Exception {
        try (NDManager manager = newManager()) {
            QuantizationConfig config = QuantizationConfig.parse(quantization);
            return logits(CausalLmLoader.load(directory, config, IDS, manager), manager);
        }
    }

    @DataProvider
    public static Object[] quantizations() {
        return new Object[] {
            "w4a8",
            "w4,code=e8",
            "w3,code=e8,balance=off",
            "w3a8kv4",
            "w4a4kv4,head=float",
            "w4a8kv4,rotation=off",
            "w4a8,exclude=*.down_proj,exclude=model.layers.0.*,exclude=lm_head",
            "w8a8",
            "w8,head=w4,w3=model.layers.1.*",
            MIXED + ",head=w4,exclude=model.layers.2.*"
        };
    }

    @DataProvider
    public static Object[] resumed() {
        return new Object[] {"w4a8", "w4a8kv4,rounding=qa-ldlq,exclude=*.o_proj,w3=*.up_proj"};
    }

    @Test(dataProvider = "quantizations")
    public void theStoredModelComputesTheSameBits(String quantization) throws Exception {
        Path stored = write(quantization);
        Assert.assertEquals(
                logits(stored, quantization), logits(EmbeddedModel.path(), quantization));
    }

    @Test
    public void theSameRunGivesTheSameBytes() throws Exception {
        Path first = write("w4a8kv4");
        Path second = folder.resolve("again");
        write(second, "w4a8kv4", EmbeddedModel.path());
        Assert.assertEquals(contents(first), contents(second));
    }

    /** File names and hashes of a folder. */
    private static TreeMap<String, Integer> contents(Path directory) throws IOException {
        TreeMap<String, Integer> contents = new TreeMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                contents.put(
                        file.getFileName().toString(),
                        java.util.Arrays.hashCode(Files.readAllBytes(file)));
            }
        }
        return contents;
    }

    @Test
    public void aFolderHoldsWhatItsManifestListsAndNothingElse() throws Exception {
        Path stored = write("w4a8");
        ContainerManifest manifest = ContainerManifest.read(stored);
        manifest.verifyFiles(stored);
        TreeMap<String, Integer> names = contents(stored);
        names.remove(ContainerManifest.FILE);
        Assert.assertEquals(names.keySet(), manifest.files().keySet());
        Assert.assertTrue(names.containsKey("tokenizer.json"), names.toString());
        Assert.assertEquals(manifest.layers().size(), 7 * 6);
        Assert.assertEquals(
                manifest.source().keySet(), java.util.Set.of("config.json", "model.safetensors"));
        try (Stream<Path> rest = Files.list(folder)) {
            Assert.assertEquals(rest.toList(), List.of(stored));
        }
    }

    @Test
    public void aChangedFileIsNamed() throws Exception {
        Path stored = write("w4a8");
        Path weights = stored.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        bytes[bytes.length / 2] ^= 1;
        Files.write(weights, bytes);
        ContainerManifest manifest = ContainerManifest.read(stored);
        String message = refusal(() -> manifest.verifyFiles(stored));
        Assert.assertTrue(message.startsWith(weights + ": SHA-256 is "), message);
    }

    private interface Action {
        void run() throws Exception;
    }

    private static String refusal(Action action) {
        try {
            action.run();
        } catch (MalformedModelException | IllegalArgumentException e) {
            return e.getMessage();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        throw new AssertionError("was not refused");
    }

    @Test
    public void onlyActivationBitsCanBeChosenWhenLoading() throws Exception {
        Path stored = write("w4a8");
        Assert.assertEquals(
                CausalLmLoader.defaultQuantization(stored), QuantizationConfig.parse("w4a8"));
        Assert.assertEquals(logits(stored, "w4a4"), logits(EmbeddedModel.path(), "w4a4"));
        for (String other : List.of("none", "w3a8", "w4a8kv4", "w4a8,code=e8")) {
            String message = refusal(() -> logits(stored, other));
            Assert.assertTrue(
                    message.startsWith(stored + " is quantised with w4a8 and cannot be loaded"),
                    message);
        }
    }

    @Test
    public void theFirstVersionOfTheFormatIsStillRead() throws Exception {
        Path stored = write("w4a8");
        Path config = stored.resolve("config.json");
        Path manifest = stored.resolve(ContainerManifest.FILE);
        replace(config, "\"format_version\": 2", "\"format_version\": 1");
        replace(manifest, "\"formatVersion\": 2", "\"formatVersion\": 1");
        Assert.assertEquals(logits(stored, "w4a8"), logits(EmbeddedModel.path(), "w4a8"));
        Assert.assertEquals(ContainerManifest.read(stored).formatVersion(), 1);
    }

    private static void replace(Path file, String old, String with) throws IOException {
        String text = Files.readString(file);
        Assert.assertTrue(text.contains(old), text);
        Files.writeString(file, text.replace(old, with));
    }

    @Test
    public void codesOfSingleMatricesMustBeThoseOfTheTextForm() throws Exception {
        Path stored = write(MIXED);
        String name = "model.layers.0.mlp.up_proj";
        String other = "model.layers.0.mlp.down_proj";
        String code = "\"" + name + "\": \"D8_8\"";
        refusedAfter(
                stored,
                new String[][] {
                    {code, code.replace("D8_8", "D8_16"), name + " is on D8_16, but"},
                    {code, code.replace("D8_8", "INT8"), "puts it on D8_8"},
                    {code, code.replace("\"D8_8\"", "3"), "must be a string"},
                    {code, code.replace("up", "down"), other + " is on D8_8, but"},
                    {code, code.replace("up_proj", "other"), "other is on D8_8, but"},
                    {"w3=*.up_proj", "w8=*.up_proj", name + " is on D8_8, but"},
                    {",w3=*.up_proj", "", "puts it on D8_16"}
                });
    }

    @Test
    public void theEstimatedSizeIsThatOfTheTensors() throws Exception {
        for (String quantization : List.of(MIXED, "w8,head=w4,w3=model.layers.1.*")) {
            Path target = folder.resolve(Integer.toString(quantization.length()));
            write(target, quantization, EmbeddedModel.path());
            QuantizationConfig config = QuantizationConfig.parse(quantization);
            try (NDManager manager = newManager();
                    Checkpoint checkpoint = Checkpoint.open(target)) {
                ContainerEstimate estimate =
                        ContainerEstimate.of(EmbeddedModel.path(), config, null, manager);
                long bytes = 0;
                for (String name : checkpoint.names()) {
                    bytes += checkpoint.info(name).byteLength();
                }
                Assert.assertEquals(estimate.bytes(), bytes, quantization);
            }
        }
    }

    @Test
    public void otherFormatsAndCodesAreRefused() throws Exception {
        Path stored = write("w4a8");
        String[][] edits = {
            {"\"format_version\": 2", "\"format_version\": 3", "is 3, but this library reads"},
            {"\"format_version\": 2", "\"format_version\": 0", "quantise the original model"},
            {"\"code\": \"D8_16\"", "\"code\": \"E8_16\"", "this library reads"},
            {"\"linear\": 1313166164", "\"linear\": 7", "this library reads"},
            {"\"quantization\": \"w4a8\"", "\"quantization\": \"w9\"", "unknown quantization"},
            {"\"quantization\": \"w4a8\"", "\"quantization\": \"none\"", "nothing to write"},
            {"\"quant_method\": \"nestquant\"", "\"quant_method\": \"gptq\"", "quant_method"},
        };
        refusedAfter(stored, edits);
    }

    /** Each edit replaces a text in config.json by another; the refusal must contain a third. */
    private static void refusedAfter(Path stored, String[][] edits) throws IOException {
        Path config = stored.resolve("config.json");
        String valid = Files.readString(config);
        for (String[] edit : edits) {
            Assert.assertTrue(valid.contains(edit[0]), edit[0]);
            Files.writeString(config, valid.replace(edit[0], edit[1]));
            String message =
                    refusal(
                            () -> {
                                String q = CausalLmLoader.defaultQuantization(stored).toString();
                                logits(stored, q);
                            });
            Assert.assertTrue(message.contains(edit[2]), message);
            Assert.assertTrue(message.contains(stored.toString()), message);
        }
    }

    @Test
    public void whatCannotBeStoredIsRefusedBeforeAnythingIsWritten() throws Exception {
        for (String quantization : List.of("none", "kv4", "w4,code=int4")) {
            Assert.assertTrue(refusal(() -> write(quantization)).contains("use"));
        }
        Path stored = write("w4a8");
        String again = refusal(() -> write(folder.resolve("again"), "w4a8", stored));
        Assert.assertTrue(again.contains("is quantised already"), again);
        String exists = refusal(() -> write("w4a8"));
        Assert.assertTrue(exists.startsWith(stored + ": exists already"), exists);
        try (Stream<Path> rest = Files.list(folder)) {
            Assert.assertEquals(rest.toList(), List.of(stored));
        }
    }

    @Test
    public void anotherRunDoesNotGoOnWithThisOne() throws Exception {
        Path target = folder.resolve("quantised");
        interrupted(target, "w4a8", 2);
        String message = refusal(() -> write(target, "w3a8", EmbeddedModel.path()));
        Assert.assertTrue(message.contains("quantization w4a8, now w3a8"), message);
    }

    /** A run that fails after some parts. */
    private void interrupted(Path target, String quantization, int parts) {
        Assert.assertThrows(
                IllegalStateException.class,
                () -> {
                    try (NDManager manager = newManager()) {
                        ContainerWriter.write(
                                EmbeddedModel.path(),
                                target,
                                QuantizationConfig.parse(quantization),
                                IDS,
                                VERSION,
                                manager,
                                (done, total, weights) -> {
                                    if (done == parts) {
                                        throw new IllegalStateException("interrupted");
                                    }
                                });
                    }
                });
    }

    @Test(dataProvider = "resumed")
    public void anInterruptedRunGoesOnToTheSameBytes(String quantization) throws Exception {
        Path whole = write(quantization);
        Path target = folder.resolve("resumed");
        interrupted(target, quantization, 3);
        Assert.assertFalse(Files.exists(target));
        // a damaged part is written again
        Path part = folder.resolve("resumed.partial").resolve("part-00001.safetensors");
        byte[] bytes = Files.readAllBytes(part);
        bytes[bytes.length - 1] ^= 1;
        Files.write(part, bytes);
        interrupted(target, quantization, 8);
        write(target, quantization, EmbeddedModel.path());
        Assert.assertEquals(contents(target), contents(whole));
    }

    @Test
    public void aClosedModelSaysSo() throws Exception {
        Path stored = write("w4a8");
        NDManager manager = newManager();
        CausalLm model =
                CausalLmLoader.load(stored, QuantizationConfig.parse("w4a8"), null, manager);
        manager.close();
        try (NDManager other = newManager()) {
            Assert.expectThrows(IllegalStateException.class, () -> logits(model, other));
        }
    }

    @Test
    public void closingAModelUnmapsItsWeights() throws Exception {
        Path maps = Path.of("/proc/self/maps");
        if (!Files.exists(maps)) {
            throw new org.testng.SkipException(maps + " is needed to see what is mapped");
        }
        Path stored = write("w4a8");
        String weights = stored.resolve("model.safetensors").toRealPath().toString();
        try (NDManager manager = newManager()) {
            CausalLmLoader.load(stored, QuantizationConfig.parse("w4a8"), null, manager);
            Assert.assertTrue(Files.readString(maps).contains(weights));
        }
        Assert.assertFalse(Files.readString(maps).contains(weights));
        Assert.assertThrows(CheckpointException.class, () -> ContainerManifest.read(folder));
    }
}
