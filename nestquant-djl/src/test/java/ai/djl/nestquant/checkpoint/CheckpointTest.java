package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Checks how single and sharded checkpoints are found and joined. */
public class CheckpointTest extends TemporaryFolder {

    private static final String INDEX = "model.safetensors.index.json";
    private static final byte[] ONE = {0, 0, (byte) 0x80, 0x3f};
    private static final byte[] TWO = {0, 0, 0, 0x40};

    private void shard(String file, String tensor, byte[] data) throws IOException {
        String header = SafetensorsWriter.header(tensor, "F32", "[1]", 0, 4);
        SafetensorsWriter.write(folder, file, header, data);
    }

    private void index(String weightMap) throws IOException {
        Files.writeString(
                folder.resolve(INDEX), "{\"metadata\":{},\"weight_map\":{" + weightMap + "}}");
    }

    private void assertRefused(String... fragments) {
        CheckpointException error =
                Assert.expectThrows(CheckpointException.class, () -> Checkpoint.open(folder));
        for (String fragment : fragments) {
            Assert.assertTrue(error.getMessage().contains(fragment), error.getMessage());
        }
    }

    @Test
    public void shardsAreJoined() throws Exception {
        shard("s-1.safetensors", "model.a", ONE);
        shard("s-2.safetensors", "model.b", TWO);
        index("\"model.a\":\"s-1.safetensors\",\"model.b\":\"s-2.safetensors\"");
        Checkpoint checkpoint = Checkpoint.open(folder);
        Assert.assertEquals(checkpoint.names(), Set.of("model.a", "model.b"));
        Assert.assertEquals(
                checkpoint.files(),
                List.of(folder.resolve("s-1.safetensors"), folder.resolve("s-2.safetensors")));
        Assert.assertEquals(checkpoint.readFloats("model.a"), new float[] {1});
        FloatBuffer out = FloatBuffer.allocate(1);
        checkpoint.readFloats("model.b", 0, out);
        Assert.assertEquals(out.get(0), 2f);
        Assert.assertEquals(checkpoint.bytes("model.b").remaining(), 4);
        Assert.assertEquals(checkpoint.require("model.b", 1).type(), TensorType.F32);
        checkpoint.close();
        Assert.assertThrows(IllegalStateException.class, () -> checkpoint.readFloats("model.a"));
    }

    @Test
    public void missingTensorsAndShapesAreNamed() throws Exception {
        shard("model.safetensors", "model.layers.0.q_proj.weight", ONE);
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            CheckpointException near =
                    Assert.expectThrows(
                            CheckpointException.class,
                            () -> checkpoint.info("layers.0.q_proj.weight"));
            Assert.assertTrue(
                    near.getMessage()
                            .endsWith(
                                    "model.safetensors: no tensor 'layers.0.q_proj.weight'; near"
                                            + " matches: model.layers.0.q_proj.weight"),
                    near.getMessage());
            CheckpointException far =
                    Assert.expectThrows(
                            CheckpointException.class, () -> checkpoint.readFloats("zzz"));
            Assert.assertTrue(far.getMessage().contains("no similar name"), far.getMessage());
            CheckpointException shape =
                    Assert.expectThrows(
                            CheckpointException.class,
                            () -> checkpoint.require("model.layers.0.q_proj.weight", 2, 3));
            Assert.assertTrue(shape.getMessage().contains("[2, 3]"), shape.getMessage());
        }
    }

    @Test
    public void disagreementOfIndexAndShardsIsNamed() throws Exception {
        shard("s-1.safetensors", "a", ONE);
        shard("s-2.safetensors", "b", TWO);
        index("\"a\":\"s-1.safetensors\",\"b\":\"s-3.safetensors\"");
        assertRefused(INDEX, "'weight_map.b'", "s-3.safetensors, which is missing");
        index("\"a\":\"s-1.safetensors\",\"b\":\"s-1.safetensors\"");
        assertRefused(INDEX, "'weight_map.b'", "s-1.safetensors but is not there");
        shard("s-2.safetensors", "c", TWO);
        index("\"a\":\"s-1.safetensors\",\"c\":\"s-2.safetensors\"");
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            Assert.assertEquals(checkpoint.names().size(), 2);
        }
        shard("s-2.safetensors", "a", TWO);
        index("\"a\":\"s-1.safetensors\",\"d\":\"s-2.safetensors\"");
        assertRefused("'weight_map.d'", "is not there");
    }

    @Test
    public void tensorsOutsideTheIndexAreNamed() throws Exception {
        String header =
                "{"
                        + SafetensorsWriter.entry("a", "I8", "[1]", 0, 1)
                        + ","
                        + SafetensorsWriter.entry("extra", "I8", "[1]", 1, 2)
                        + "}";
        SafetensorsWriter.write(folder, "s-1.safetensors", header, new byte[2]);
        index("\"a\":\"s-1.safetensors\"");
        assertRefused("s-1.safetensors", "'extra'", "not listed");
    }

    @Test
    public void shardNamesStayInsideTheFolder() throws Exception {
        for (String name :
                List.of(
                        "../s.safetensors",
                        "/s.safetensors",
                        "sub/s.safetensors",
                        "sub\\\\s.safetensors",
                        "..safetensors",
                        "C:s.safetensors",
                        "",
                        "s.bin")) {
            index("\"a\":\"" + name + "\"");
            assertRefused(INDEX, "'weight_map.a'", "not a plain *.safetensors file name");
        }
        index("\"a\":1");
        assertRefused(INDEX, "'weight_map.a' must be a string");
        index("\"a\":\"s.safetensors\",\"a\":\"s.safetensors\"");
        assertRefused(INDEX, "duplicate key");
        Files.writeString(folder.resolve(INDEX), "{\"weight_map\":[]}");
        assertRefused(INDEX, "'weight_map' must be an object");
        Files.writeString(folder.resolve(INDEX), "{}");
        assertRefused(INDEX, "'weight_map' is missing");
    }

    @Test
    public void theSingleFileGoesBeforeTheIndex() throws Exception {
        shard("model.safetensors", "a", ONE);
        index("\"a\":\"missing.safetensors\"");
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            Assert.assertEquals(checkpoint.readFloats("a"), new float[] {1});
        }
    }

    @Test
    public void otherWeightFormatsAreNamedWithAdvice() throws Exception {
        assertRefused(folder.toString(), "is it a HuggingFace model folder?");
        Files.writeString(folder.resolve("pytorch_model.bin"), "");
        Files.writeString(folder.resolve("m.gguf"), "");
        assertRefused("[m.gguf, pytorch_model.bin]", "convert", "safe_serialization=True");
        Path missing = folder.resolve("missing");
        CheckpointException error =
                Assert.expectThrows(CheckpointException.class, () -> Checkpoint.open(missing));
        Assert.assertTrue(error.getMessage().contains("no such model folder"));
    }
}
