package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Checks the format's rules: what is valid is read exactly, anything else is named and refused. */
public class SafetensorsFileTest extends TemporaryFolder {

    private static final String NAME = "t.safetensors";

    /** 3 GB cannot be one mapping; the file is sparse and takes no such space. */
    private static final long LARGE = 1_500_000_000L;

    @DataProvider
    public Object[][] rejections() {
        String f32 = "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":";
        return new Object[][] {
            {"[]    ", 0, "does not start with"},
            {" {}", 0, "does not start with"},
            {"{", 0, "not valid JSON"},
            {"{} x", 0, "something follows|not valid JSON"},
            {"{}{}", 0, "something follows|not valid JSON"},
            {"{'a':1}", 0, "not valid JSON"},
            {"{\"a\":1}", 0, "'a': entry is not a JSON object"},
            {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "'a': must have dtype, shape and"},
            {"{" + f32 + "[0,4],\"x\":1}}", 4, "'a': unknown key 'x'"},
            {"{" + f32 + "[0,4],\"dtype\":\"F32\"}}", 4, "'a': duplicate key 'dtype'"},
            {"{" + f32 + "[0,4]}," + f32 + "[4,8]}}", 8, "'a': duplicate tensor"},
            {"{" + f32 + "[0]}}", 4, "'a': data_offsets has 1 numbers"},
            {"{" + f32 + "[0,4,8]}}", 8, "'a': data_offsets has 3 numbers"},
            {"{" + f32 + "[4,0]}}", 4, "'a': data_offsets \\[4, 0\\] end before"},
            {"{" + f32 + "[-4,0]}}", 4, "'a': data_offsets holds -4"},
            {"{" + f32 + "[0,4.0]}}", 4, "'a': data_offsets holds 4.0"},
            {"{" + f32 + "[0,\"4\"]}}", 4, "'a': data_offsets holds something else"},
            {"{" + f32 + "[0,9999999999999999999]}}", 4, "'a': data_offsets holds 9999"},
            {"{" + f32 + "{}}}", 4, "'a': data_offsets is not an array"},
            {"{" + f32 + "[0,8]}}", 4, "'a': .* reach beyond the 4 bytes of data"},
            {"{" + f32 + "[0,8]}}", 8, "'a': F32 of shape \\[1\\] does not have the 8 bytes"},
            {header("F7", "[1]", 4), 4, "'a': dtype 'F7' is not supported; supported: .*BF16"},
            {header("F8_E4M3", "[4]", 4), 4, "'a': dtype 'F8_E4M3' is not supported"},
            {header("F32", "[-1]", 4), 4, "'a': shape holds -1"},
            {header("F32", "1", 4), 4, "'a': shape is not an array"},
            {header("F32", "[4294967296,4294967296]", 0), 0, "'a': shape .* more than 2\\^63"},
            {header("F64", "[2305843009213693952]", 0), 0, "'a': shape holds 2305843009213693952"},
            {header("F64", "[536870912,4294967296]", 0), 0, "'a': F64 of shape .* 0 bytes"},
            {header("I8", "[3]", 3), 4, "1 bytes at the end belong to no tensor, from offset"},
            {"{}", 3, "3 bytes at the end belong to no tensor"},
            {pair(0, 4, 5, 9), 9, "'b': data begins at offset 5 .* after a hole"},
            {pair(0, 4, 2, 6), 6, "'b': data begins at offset 2 .* inside another tensor"},
            {pair(0, 4, 0, 4), 4, "data begins at offset 0 .* inside another tensor"},
            {pair(1, 5, 5, 9), 9, "'a': data begins at offset 1 .* after a hole"},
            {"{\"__metadata__\":1}", 0, "'__metadata__': must be an object of strings"},
            {"{\"__metadata__\":{\"k\":1}}", 0, "'__metadata__': value of 'k' is not a string"},
            {"{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}", 0, "duplicate key 'k'"},
            {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key '__metadata__'"},
        };
    }

    private static String header(String dtype, String shape, long end) {
        return SafetensorsWriter.header("a", dtype, shape, 0, end);
    }

    private static String pair(long beginA, long endA, long beginB, long endB) {
        return "{"
                + SafetensorsWriter.entry("a", "I8", "[4]", beginA, endA)
                + ","
                + SafetensorsWriter.entry("b", "I8", "[4]", beginB, endB)
                + "}";
    }

    @Test(dataProvider = "rejections")
    public void invalidHeadersAreRefused(String header, int dataBytes, String message)
            throws IOException {
        assertRefused(SafetensorsWriter.bytes(header, new byte[dataBytes]), message);
    }

    @Test
    public void invalidFramesAreRefused() throws IOException {
        byte[] valid = SafetensorsWriter.bytes(header("F32", "[1]", 4), new byte[4]);
        assertRefused(new byte[0], "0 bytes are too few");
        assertRefused(new byte[7], "7 bytes are too few");
        assertRefused(new byte[8], "does not start with '\\{'");
        assertRefused(length(valid, -1), "header length 18446744073709551615 exceeds the bound");
        assertRefused(length(valid, 100_000_001), "header length 100000001 exceeds the bound");
        assertRefused(length(valid, 100_000_000), "header length 100000000 reaches beyond");
        assertRefused(length(valid, valid.length - 7), "reaches beyond the file of");
        assertRefused(Arrays.copyOf(valid, valid.length - 1), "'a': .* reach beyond the 3 bytes");
        byte[] latin1 = valid.clone();
        latin1[10] = (byte) 0xe9;
        assertRefused(latin1, "not valid UTF-8");
        Assert.assertThrows(
                NoSuchFileException.class, () -> SafetensorsFile.open(folder.resolve("none")));
    }

    private static byte[] length(byte[] file, long length) {
        byte[] copy = file.clone();
        ByteBuffer.wrap(copy).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
        return copy;
    }

    private void assertRefused(byte[] bytes, String message) throws IOException {
        Path path = Files.write(folder.resolve(NAME), bytes);
        CheckpointException error =
                Assert.expectThrows(CheckpointException.class, () -> SafetensorsFile.open(path));
        String text = error.getMessage();
        Assert.assertTrue(text.startsWith(path + ": "), text);
        Assert.assertTrue(text.matches("(?s).*(" + message + ").*"), text);
    }

    @Test
    public void validHeadersAreRead() throws Exception {
        String header =
                "{\"__metadata__\":{\"format\":\"pt\"},"
                        + SafetensorsWriter.entry("second", "I16", "[2,1]", 1, 5)
                        + ","
                        + SafetensorsWriter.entry("empty", "F32", "[3,0]", 1, 1)
                        + ","
                        + SafetensorsWriter.entry("scalar", "U8", "[]", 0, 1)
                        + "}   ";
        Path path = SafetensorsWriter.write(folder, NAME, header, (byte) 7, (byte) 1, (byte) 2);
        Assert.assertThrows(CheckpointException.class, () -> SafetensorsFile.open(path));
        SafetensorsWriter.write(folder, NAME, header, new byte[] {7, 1, 2, 3, 4});
        SafetensorsFile file = SafetensorsFile.open(path);
        Assert.assertEquals(List.copyOf(file.names()), List.of("scalar", "empty", "second"));
        Assert.assertEquals(file.metadata(), Map.of("format", "pt"));
        Assert.assertEquals(file.info("scalar").shape(), new long[0]);
        Assert.assertEquals(file.info("scalar").elements(), 1);
        Assert.assertEquals(file.info("second").shape(), new long[] {2, 1});
        Assert.assertEquals(file.info("second").offset(), Files.size(path) - 4);
        ByteBuffer second = file.bytes("second");
        Assert.assertTrue(second.isReadOnly() && second.isDirect());
        Assert.assertEquals(second.remaining(), 4);
        Assert.assertEquals(second.getShort(0), (short) 0x0201);
        Assert.assertEquals(file.readFloats("empty").length, 0);
        file.close();
        Assert.assertThrows(IllegalStateException.class, () -> file.bytes("second"));
        Assert.assertThrows(IllegalStateException.class, () -> file.readFloats("empty"));
        Assert.assertEquals(second.getShort(2), (short) 0x0403);
    }

    @Test
    public void everyTypeHasItsSize() throws Exception {
        int[] sizes = {8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1};
        TensorType[] types = TensorType.values();
        Assert.assertEquals(types.length, sizes.length);
        for (int i = 0; i < types.length; i++) {
            String header = header(types[i].name(), "[2,3]", 6L * sizes[i]);
            Path path = SafetensorsWriter.write(folder, NAME, header, new byte[6 * sizes[i]]);
            try (SafetensorsFile file = SafetensorsFile.open(path)) {
                Assert.assertEquals(file.info("a").type(), types[i]);
                Assert.assertEquals(file.bytes("a").remaining(), 6 * sizes[i]);
                if (types[i].isFloating()) {
                    Assert.assertEquals(file.readFloats("a"), new float[6]);
                } else {
                    CheckpointException error =
                            Assert.expectThrows(
                                    CheckpointException.class, () -> file.readFloats("a"));
                    Assert.assertTrue(error.getMessage().contains("dtype " + types[i]));
                }
            }
        }
    }

    @Test
    public void rangesAreReadWithoutTheRest() throws Exception {
        int elements = 10_000;
        ByteBuffer data = ByteBuffer.allocate(2 * elements).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < elements; i++) {
            data.putShort((short) i);
        }
        String header = header("BF16", "[10000]", 2L * elements);
        Path path = SafetensorsWriter.write(folder, NAME, header, data.array());
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            float[] all = file.readFloats("a");
            FloatBuffer direct =
                    ByteBuffer.allocateDirect(4 * 6000)
                            .order(ByteOrder.nativeOrder())
                            .asFloatBuffer();
            direct.position(5).limit(5905);
            file.readFloats("a", 4100, direct);
            Assert.assertEquals(direct.position(), 5905);
            for (int i = 0; i < 5900; i++) {
                Assert.assertEquals(direct.get(5 + i), all[4100 + i]);
                Assert.assertEquals(all[4100 + i], Float.intBitsToFloat((4100 + i) << 16));
            }
            FloatBuffer one = FloatBuffer.allocate(1);
            file.readFloats("a", elements - 1, one);
            for (long from : new long[] {-1, elements, Long.MAX_VALUE}) {
                one.clear();
                Assert.assertThrows(
                        IllegalArgumentException.class, () -> file.readFloats("a", from, one));
            }
        }
    }

    @Test
    public void windowsNeverSplitATensor() throws Exception {
        String header =
                "{"
                        + SafetensorsWriter.entry("a", "U8", "[3]", 0, 3)
                        + ","
                        + SafetensorsWriter.entry("b", "U8", "[3]", 3, 6)
                        + ","
                        + SafetensorsWriter.entry("large", "U8", "[9]", 6, 15)
                        + ","
                        + SafetensorsWriter.entry("c", "U8", "[4]", 15, 19)
                        + ","
                        + SafetensorsWriter.entry("none", "U8", "[0]", 19, 19)
                        + "}";
        byte[] data = new byte[19];
        new Random(1).nextBytes(data);
        Path path = SafetensorsWriter.write(folder, NAME, header, data);
        Map<String, TensorInfo> tensors = new LinkedHashMap<>();
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            for (String name : file.names()) {
                tensors.put(name, file.info(name));
            }
        }
        int dataStart = (int) Files.size(path) - data.length;
        for (int window = 1; window <= 20; window++) {
            try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
                Map<String, ByteBuffer> slices =
                        SafetensorsFile.map(channel, tensors, window, new ArrayList<>());
                for (TensorInfo tensor : tensors.values()) {
                    ByteBuffer slice = slices.get(tensor.name());
                    Assert.assertEquals(slice != null, tensor.byteLength() <= window);
                    if (slice != null) {
                        int from = (int) tensor.offset() - dataStart;
                        int length = (int) tensor.byteLength();
                        Assert.assertEquals(slice, ByteBuffer.wrap(data, from, length));
                    }
                }
            }
        }
    }

    @Test
    public void filesAboveTwoGigabytesAreRead() throws Exception {
        long huge = 1L << 31;
        String header =
                "{"
                        + SafetensorsWriter.entry("a", "U8", "[" + LARGE + "]", 0, LARGE)
                        + ","
                        + SafetensorsWriter.entry("b", "U8", "[" + LARGE + "]", LARGE, 2 * LARGE)
                        + ","
                        + SafetensorsWriter.entry(
                                "huge", "U8", "[" + huge + "]", 2 * LARGE, 2 * LARGE + huge)
                        + ","
                        + SafetensorsWriter.entry(
                                "c", "F32", "[1]", 2 * LARGE + huge, 2 * LARGE + huge + 4)
                        + "}";
        Path path = SafetensorsWriter.write(folder, NAME, header);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            long dataStart = file.length();
            file.setLength(dataStart + 2 * LARGE + huge);
            file.seek(dataStart + 2 * LARGE - 1);
            file.write(42);
            file.seek(dataStart + 2 * LARGE + huge);
            file.write(new byte[] {0, 0, (byte) 0x80, 0x3f});
        }
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            Assert.assertEquals(file.bytes("b").get((int) LARGE - 1), 42);
            Assert.assertEquals(file.bytes("a").get((int) LARGE - 1), 0);
            Assert.assertEquals(file.readFloats("c"), new float[] {1});
            CheckpointException error =
                    Assert.expectThrows(CheckpointException.class, () -> file.bytes("huge"));
            Assert.assertTrue(error.getMessage().contains("'huge' has 2147483648 bytes"));
        }
    }
}
