package ai.djl.nestquant.model;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.training.ParameterStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Mutates a quantised folder at random: each must load and compute, or be refused with the
 * documented exceptions. {@code -Dnestquant.fuzz=N} sets the number of rounds.
 */
public class ContainerFuzzTest {

    private static final long SEED = 20261125;
    private static final int ROUNDS = Integer.getInteger("nestquant.fuzz", 400);
    private static final String TOKENS = "{}[]\",:0123456789-.eEwkaI8F32\\u _shape";

    @Test
    public void mutatedFoldersLoadOrAreRefused() throws Exception {
        Path folder = Files.createTempDirectory("container-fuzz");
        Path stored = folder.resolve("quantised");
        try (NDManager manager = Engine.getEngine("PyTorch").newBaseManager(Device.cpu())) {
            ContainerWriter.write(
                    EmbeddedModel.path(),
                    stored,
                    QuantizationConfig.parse("w4a8kv4,balance=off,w3=*.up_proj,w8=*.v_proj"),
                    new long[0],
                    "test",
                    manager,
                    (parts, total, weights) -> {});
            Path weights = stored.resolve("model.safetensors");
            Path config = stored.resolve("config.json");
            byte[] validWeights = Files.readAllBytes(weights);
            byte[] validConfig = Files.readAllBytes(config);
            long header =
                    ByteBuffer.wrap(validWeights).order(ByteOrder.LITTLE_ENDIAN).getLong() + 8;
            Random random = new Random(SEED);
            int refused = 0;
            for (int round = 0; round < ROUNDS; round++) {
                int kind = random.nextInt(3);
                byte[] bytes =
                        kind == 0
                                ? mutated(validConfig, validConfig.length, random)
                                : mutated(
                                        validWeights,
                                        kind == 1 ? (int) header : validWeights.length,
                                        random);
                // a new file each round: one that is mapped must not be truncated
                Files.delete(kind == 0 ? config : weights);
                Files.write(kind == 0 ? config : weights, bytes);
                refused += loads(stored, bytes, round) ? 0 : 1;
                Files.write(config, validConfig);
                Files.delete(weights);
                Files.write(weights, validWeights);
            }
            Assert.assertTrue(refused > ROUNDS / 4 && refused < ROUNDS, refused + " refused");
        } finally {
            try (Stream<Path> walk = Files.walk(folder)) {
                for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
    }

    private static boolean loads(Path stored, byte[] bytes, int round) throws IOException {
        try (NDManager manager = Engine.getEngine("PyTorch").newBaseManager(Device.cpu())) {
            QuantizationConfig config = CausalLmLoader.defaultQuantization(stored);
            CausalLm model = CausalLmLoader.load(stored, config, new long[0], manager);
            NDArray ids = manager.create(new long[] {1, 2, 3}, new Shape(1, 3));
            model.logits(new ParameterStore(manager, false), ids, null, true).toFloatArray();
            return true;
        } catch (IOException | MalformedModelException | IllegalArgumentException e) {
            Assert.assertNotNull(e.getMessage());
            return false;
        } catch (RuntimeException | Error e) {
            Path kept = Files.createTempFile("fuzz-failure", ".bin");
            Files.write(kept, bytes);
            throw new AssertionError("seed " + SEED + ", round " + round + ", " + kept, e);
        }
    }

    /** Changes up to three places in the first {@code end} bytes, or cuts the file off there. */
    private static byte[] mutated(byte[] valid, int end, Random random) {
        byte[] bytes = valid.clone();
        int edits = 1 + random.nextInt(3);
        for (int i = 0; i < edits; i++) {
            int at = random.nextInt(Math.min(end, bytes.length));
            switch (random.nextInt(5)) {
                case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> bytes[at] = (byte) random.nextInt(256);
                case 2 -> bytes[at] = (byte) TOKENS.charAt(random.nextInt(TOKENS.length()));
                case 3 -> bytes = Arrays.copyOf(bytes, Math.max(1, at));
                default -> {
                    int from = random.nextInt(Math.min(end, bytes.length));
                    int length = Math.min(random.nextInt(24), bytes.length - Math.max(at, from));
                    System.arraycopy(bytes.clone(), from, bytes, at, length);
                }
            }
        }
        return bytes;
    }
}
