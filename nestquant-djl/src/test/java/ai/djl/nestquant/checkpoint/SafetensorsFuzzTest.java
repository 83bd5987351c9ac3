package ai.djl.nestquant.checkpoint;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Mutates valid files at random: each must load or be refused with the documented exception. {@code
 * -Dnestquant.fuzz=N} sets the number of rounds.
 */
public class SafetensorsFuzzTest extends TemporaryFolder {

    private static final long SEED = 20250117;
    private static final int ROUNDS = Integer.getInteger("nestquant.fuzz", 6000);
    private static final String TOKENS = "{}[]\",:0123456789-.eEF\\u __metadata__dtypeshape";

    @Test
    public void mutatedFilesLoadOrAreRefused() throws Exception {
        byte[] valid =
                SafetensorsWriter.bytes(
                        "{\"__metadata__\":{\"format\":\"pt\"},"
                                + SafetensorsWriter.entry("a.weight", "F32", "[2,3]", 0, 24)
                                + ","
                                + SafetensorsWriter.entry("b", "BF16", "[5]", 24, 34)
                                + ","
                                + SafetensorsWriter.entry("c", "I64", "[]", 34, 42)
                                + "}  ",
                        new byte[42]);
        Random random = new Random(SEED);
        int refused = 0;
        for (int round = 0; round < ROUNDS; round++) {
            byte[] bytes = mutate(valid, random);
            // a new file each round: rewriting one that is still mapped is slow
            Path path = Files.write(folder.resolve(round + ".safetensors"), bytes);
            try (SafetensorsFile file = SafetensorsFile.open(path)) {
                readAll(file);
            } catch (CheckpointException e) {
                Assert.assertTrue(e.getMessage().startsWith(path.toString()), e.getMessage());
                refused++;
            } catch (RuntimeException | Error e) {
                Path kept = Files.createTempFile("fuzz-failure", ".safetensors");
                Files.write(kept, bytes);
                throw new AssertionError("seed " + SEED + ", round " + round + ", " + kept, e);
            }
            Files.delete(path);
        }
        Assert.assertTrue(refused > ROUNDS / 2 && refused < ROUNDS, refused + " refused");
    }

    private static void readAll(SafetensorsFile file) throws CheckpointException {
        for (String name : file.names()) {
            TensorInfo tensor = file.info(name);
            Assert.assertEquals(file.bytes(name).remaining(), tensor.byteLength());
            if (tensor.type().isFloating()) {
                Assert.assertEquals(file.readFloats(name).length, tensor.elements());
            }
        }
    }

    private static byte[] mutate(byte[] valid, Random random) {
        byte[] bytes = valid.clone();
        int edits = 1 + random.nextInt(3);
        for (int i = 0; i < edits; i++) {
            int at = random.nextInt(bytes.length);
            switch (random.nextInt(6)) {
                case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> bytes[at] = (byte) random.nextInt(256);
                case 2 -> bytes = Arrays.copyOf(bytes, Math.max(1, at));
                case 3 -> bytes[random.nextInt(Math.min(8, bytes.length))]++;
                case 4 -> bytes[at] = token(random);
                default -> bytes = splice(bytes, at, random);
            }
        }
        return bytes;
    }

    private static byte token(Random random) {
        return (byte) TOKENS.charAt(random.nextInt(TOKENS.length()));
    }

    /** Copies a piece of the file over another place, which doubles or swaps keys and numbers. */
    private static byte[] splice(byte[] bytes, int at, Random random) {
        byte[] copy = bytes.clone();
        int from = random.nextInt(bytes.length);
        int length = Math.min(random.nextInt(24), bytes.length - Math.max(at, from));
        System.arraycopy(bytes, from, copy, at, length);
        return copy;
    }

    @Test
    public void mutatedConfigsLoadOrAreRefused() throws Exception {
        byte[] valid = ModelConfigTest.LLAMA.getBytes(StandardCharsets.UTF_8);
        Random random = new Random(SEED);
        for (int round = 0; round < ROUNDS; round++) {
            byte[] bytes = mutate(valid, random);
            Path path = Files.write(folder.resolve("config.json"), bytes);
            try {
                ModelConfig config = ModelConfig.load(folder);
                Assert.assertEquals(config.heads() % config.kvHeads(), 0);
            } catch (CheckpointException e) {
                Assert.assertTrue(e.getMessage().startsWith(path.toString()), e.getMessage());
            } catch (RuntimeException | Error e) {
                String json = new String(bytes, StandardCharsets.ISO_8859_1);
                throw new AssertionError("seed " + SEED + ", round " + round + ": " + json, e);
            }
        }
    }
}
