package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes safetensors files, valid or not, byte by byte as a test asks. */
final class SafetensorsWriter {

    private SafetensorsWriter() {}

    /** Returns {@code u64 length | header | data}. */
    static byte[] bytes(String header, byte... data) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .put(data)
                .array();
    }

    /** Writes a file of the folder and returns its path. */
    static Path write(Path folder, String name, String header, byte... data) throws IOException {
        return Files.write(folder.resolve(name), bytes(header, data));
    }

    /** Returns the header of one tensor. */
    static String header(String name, String dtype, String shape, long begin, long end) {
        return "{" + entry(name, dtype, shape, begin, end) + "}";
    }

    /** Returns one tensor of a header. */
    static String entry(String name, String dtype, String shape, long begin, long end) {
        return String.format(
                "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}",
                name, dtype, shape, begin, end);
    }
}
