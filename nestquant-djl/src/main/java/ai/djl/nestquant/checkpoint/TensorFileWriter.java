package ai.djl.nestquant.checkpoint;

import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;

/**
 * Collects tensors and writes them as one safetensors file.
 *
 * <p>Data start at a multiple of 64 bytes and tensors are ordered by element size and name, those
 * with whole 64-byte pieces first, so that mapped integers and floats are aligned; the same tensors
 * always give the same bytes. Not safe for concurrent use.
 */
public final class TensorFileWriter {

    static final int ALIGNMENT = 64;

    private static final int PREFIX_BYTES = Long.BYTES;

    /** Writes a tensor's bytes, little-endian, at a channel's position. */
    interface Body {
        void writeTo(FileChannel out) throws IOException;
    }

    private record Tensor(String name, TensorType type, long[] shape, long bytes, Body body) {

        int order() {
            return bytes % ALIGNMENT == 0 ? -ALIGNMENT : -type.bytes();
        }
    }

    private final List<Tensor> tensors = new ArrayList<>();

    /**
     * Adds a tensor.
     *
     * @param name its name
     * @param type its type
     * @param shape its dimensions
     * @param data its bytes from position to limit, little-endian; read when the file is written
     */
    public void add(String name, TensorType type, long[] shape, ByteBuffer data) {
        add(name, type, shape, List.of(data));
    }

    /**
     * Adds a tensor that may be larger than a buffer.
     *
     * @param name its name
     * @param type its type
     * @param shape its dimensions
     * @param pieces its bytes, one buffer after the other, each as for a single one
     */
    public void add(String name, TensorType type, long[] shape, List<ByteBuffer> pieces) {
        add(
                name,
                type,
                shape,
                pieces.stream().mapToLong(ByteBuffer::remaining).sum(),
                out -> {
                    for (ByteBuffer piece : pieces) {
                        writeAll(out, piece.duplicate());
                    }
                });
    }

    void add(String name, TensorType type, long[] shape, long bytes, Body body) {
        tensors.add(new Tensor(name, type, shape.clone(), bytes, body));
    }

    /** Adds all tensors of another file. */
    void addAll(SafetensorsFile file) throws CheckpointException {
        for (String name : file.names()) {
            TensorInfo info = file.info(name);
            add(name, info.type(), info.shape(), info.byteLength(), out -> file.copy(info, out));
        }
    }

    /** Returns the names of all tensors, sorted. */
    TreeSet<String> names() {
        TreeSet<String> names = new TreeSet<>();
        tensors.forEach(tensor -> names.add(tensor.name));
        return names;
    }

    /** Writes the file, which appears under its name when it is complete and on the disk. */
    void write(Path file) throws IOException {
        tensors.sort(Comparator.comparingInt(Tensor::order).thenComparing(Tensor::name));
        byte[] header = header();
        AtomicFiles.write(
                file,
                out -> {
                    ByteBuffer start =
                            ByteBuffer.allocate(PREFIX_BYTES + header.length)
                                    .order(ByteOrder.LITTLE_ENDIAN)
                                    .putLong(header.length)
                                    .put(header)
                                    .flip();
                    writeAll(out, start);
                    for (Tensor tensor : tensors) {
                        tensor.body.writeTo(out);
                    }
                });
    }

    private byte[] header() throws IOException {
        StringWriter text = new StringWriter();
        JsonWriter json = new JsonWriter(text);
        json.beginObject();
        json.name("__metadata__").beginObject().name("format").value("pt").endObject();
        long offset = 0;
        for (Tensor tensor : tensors) {
            json.name(tensor.name).beginObject().name("dtype").value(tensor.type.name());
            json.name("shape").beginArray();
            for (long dimension : tensor.shape) {
                json.value(dimension);
            }
            json.endArray().name("data_offsets").beginArray();
            json.value(offset).value(offset + tensor.bytes).endArray().endObject();
            offset += tensor.bytes;
        }
        json.endObject();
        while ((text.getBuffer().length() + PREFIX_BYTES) % ALIGNMENT != 0) {
            text.append(' ');
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        if (bytes.length != text.getBuffer().length()) {
            throw new IOException("names of tensors must be ASCII to be written");
        }
        return bytes;
    }

    private static void writeAll(FileChannel out, ByteBuffer data) throws IOException {
        while (data.hasRemaining()) {
            out.write(data);
        }
    }
}
