package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A memory-mapped safetensors file: {@code u64 headerLength | JSON header | data}, all
 * little-endian.
 *
 * <p>The whole header is validated when the file is opened, before any tensor can be read. Floats
 * are read piece by piece and leave nothing in memory. The file is mapped when {@link #bytes} is
 * first called; files larger than 2 GB in several windows that never split a tensor. A single
 * tensor larger than 2^31 - 1 bytes can be listed but not read. The file must not be shortened or
 * rewritten while it is in use.
 *
 * <p>{@link #close} closes the file; mappings go once no buffer obtained from {@link #bytes} is
 * reachable, or at once with {@link #unmap}. Thread-safe but for these two, which must not run
 * beside anything else.
 */
public final class SafetensorsFile implements AutoCloseable {

    /** Header size bound of the reference implementation of the format, in bytes. */
    private static final long MAX_HEADER_BYTES = 100_000_000;

    /** Bytes of the length that stands before the header. */
    private static final int PREFIX_BYTES = 8;

    /** Bytes that are read at once where floats are converted. */
    private static final int CHUNK_BYTES = 1 << 20;

    private final Path file;
    private final Map<String, TensorInfo> tensors;
    private final Map<String, String> metadata;
    private final FileChannel channel;
    private final List<Mapping> mappings = new ArrayList<>();
    private Map<String, ByteBuffer> mapped;

    private SafetensorsFile(Path file, SafetensorsHeader header, FileChannel channel) {
        this.file = file;
        this.tensors = header.tensors();
        this.metadata = header.metadata();
        this.channel = channel;
    }

    /**
     * Opens and validates a file.
     *
     * @param file the file
     * @return the open file
     * @throws IOException if the file cannot be read
     * @throws CheckpointException if it is not a valid safetensors file; the message names the file
     *     and the tensor
     */
    public static SafetensorsFile open(Path file) throws IOException, CheckpointException {
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        try {
            return open(file, channel);
        } catch (IOException | CheckpointException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    private static SafetensorsFile open(Path file, FileChannel channel)
            throws IOException, CheckpointException {
        long size = channel.size();
        if (size < PREFIX_BYTES) {
            throw new CheckpointException(
                    file + ": " + size + " bytes are too few for a safetensors file");
        }
        long length = read(file, channel, 0, PREFIX_BYTES).getLong();
        if (length < 0 || length > MAX_HEADER_BYTES) {
            throw new CheckpointException(
                    file
                            + ": offset 0: header length "
                            + Long.toUnsignedString(length)
                            + " exceeds the bound of "
                            + MAX_HEADER_BYTES
                            + " bytes; this is not a safetensors file");
        }
        if (length > size - PREFIX_BYTES) {
            throw new CheckpointException(
                    file
                            + ": offset 0: header length "
                            + length
                            + " reaches beyond the file of "
                            + size
                            + " bytes; the file is truncated or damaged");
        }
        ByteBuffer json = read(file, channel, PREFIX_BYTES, (int) length);
        long dataStart = PREFIX_BYTES + length;
        SafetensorsHeader header = SafetensorsHeader.parse(file, json, dataStart, size - dataStart);
        return new SafetensorsFile(file, header, channel);
    }

    /**
     * Returns the path of the file.
     *
     * @return the path given to {@link #open}
     */
    public Path file() {
        return file;
    }

    /**
     * Returns the names of all tensors in the order of their offsets.
     *
     * @return an unmodifiable set
     */
    public Set<String> names() {
        return tensors.keySet();
    }

    /**
     * Returns the {@code __metadata__} of the header.
     *
     * @return an unmodifiable map, empty where the header has none
     */
    public Map<String, String> metadata() {
        return metadata;
    }

    /**
     * Returns type and shape of a tensor.
     *
     * @param name the tensor
     * @return its description
     * @throws CheckpointException if there is no such tensor
     */
    public TensorInfo info(String name) throws CheckpointException {
        TensorInfo tensor = tensors.get(name);
        if (tensor == null) {
            throw new CheckpointException(
                    file + ": no tensor '" + name + "'" + NearMatches.of(name, names()));
        }
        return tensor;
    }

    /**
     * Returns the stored bytes of a tensor without copying them.
     *
     * @param name the tensor
     * @return a new read-only direct buffer, little-endian, of {@code byteLength} bytes; valid also
     *     after {@link #close}, but not after {@link #unmap}
     * @throws CheckpointException if there is no such tensor or it is larger than 2^31 - 1 bytes
     */
    public ByteBuffer bytes(String name) throws CheckpointException {
        checkOpen();
        TensorInfo tensor = info(name);
        ByteBuffer buffer = mapped().get(name);
        if (buffer == null) {
            throw new CheckpointException(
                    file
                            + ": tensor '"
                            + name
                            + "' has "
                            + tensor.byteLength()
                            + " bytes; tensors above 2^31 - 1 bytes cannot be mapped");
        }
        return buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    private synchronized Map<String, ByteBuffer> mapped() throws CheckpointException {
        if (mapped == null) {
            try {
                mapped = map(channel, tensors, Integer.MAX_VALUE, mappings);
            } catch (IOException e) {
                throw new CheckpointException(file + ": cannot be mapped: " + e.getMessage(), e);
            }
        }
        return mapped;
    }

    private void checkOpen() {
        if (!channel.isOpen()) {
            throw new IllegalStateException(file + " is closed");
        }
    }

    /** Copies a tensor's bytes to a channel's position. */
    void copy(TensorInfo tensor, FileChannel out) throws IOException {
        checkOpen();
        AtomicFiles.transfer(channel, tensor.offset(), tensor.byteLength(), out);
    }

    /**
     * Reads a whole floating-point tensor.
     *
     * @param name the tensor
     * @return its elements in stored (row-major) order; F64 is rounded to the nearest float, other
     *     types are exact
     * @throws CheckpointException if there is no such tensor, it is not of a floating type, or it
     *     is too large
     */
    public float[] readFloats(String name) throws CheckpointException {
        TensorInfo tensor = floating(name);
        if (tensor.elements() > Integer.MAX_VALUE) {
            throw new CheckpointException(
                    file + ": tensor '" + name + "' is too large to be read as a whole");
        }
        float[] values = new float[(int) tensor.elements()];
        readFloats(name, 0, FloatBuffer.wrap(values));
        return values;
    }

    /**
     * Reads a range of a floating-point tensor: fills {@code out} from its position to its limit.
     *
     * @param name the tensor
     * @param fromElement the first element to read, in stored (row-major) order
     * @param out receives {@code out.remaining()} elements
     * @throws CheckpointException as {@link #readFloats(String)}
     * @throws IllegalArgumentException if the range is not inside the tensor
     */
    public void readFloats(String name, long fromElement, FloatBuffer out)
            throws CheckpointException {
        TensorInfo tensor = floating(name);
        checkOpen();
        if (fromElement < 0 || fromElement > tensor.elements() - out.remaining()) {
            throw new IllegalArgumentException(
                    file
                            + ": tensor '"
                            + name
                            + "' has "
                            + tensor.elements()
                            + " elements, not "
                            + out.remaining()
                            + " from element "
                            + fromElement);
        }
        int size = tensor.type().bytes();
        ByteBuffer chunk =
                ByteBuffer.allocate((int) Math.min((long) out.remaining() * size, CHUNK_BYTES));
        long position = tensor.offset() + fromElement * size;
        int limit = out.limit();
        while (out.position() < limit) {
            int elements = Math.min(CHUNK_BYTES / size, limit - out.position());
            read(chunk.clear().limit(elements * size), position);
            position += (long) elements * size;
            out.limit(out.position() + elements);
            FloatConversion.convert(
                    tensor.type(), chunk.flip().order(ByteOrder.LITTLE_ENDIAN), out);
            out.limit(limit);
        }
    }

    /**
     * Reads stored bytes of a tensor, which then are not mapped: fills {@code out} from its
     * position to its limit.
     *
     * @param name the tensor
     * @param fromByte the first byte to read
     * @param out receives {@code out.remaining()} bytes
     * @throws CheckpointException if there is no such tensor or it cannot be read
     * @throws IllegalArgumentException if the range is not inside the tensor
     */
    public void read(String name, long fromByte, ByteBuffer out) throws CheckpointException {
        TensorInfo tensor = info(name);
        checkOpen();
        if (fromByte < 0 || fromByte > tensor.byteLength() - out.remaining()) {
            throw new IllegalArgumentException(
                    file
                            + ": tensor '"
                            + name
                            + "' has "
                            + tensor.byteLength()
                            + " bytes, not "
                            + out.remaining()
                            + " from byte "
                            + fromByte);
        }
        read(out.slice(), tensor.offset() + fromByte);
        out.position(out.limit());
    }

    private void read(ByteBuffer chunk, long position) throws CheckpointException {
        try {
            while (chunk.hasRemaining()) {
                if (channel.read(chunk, position + chunk.position()) < 0) {
                    throw new CheckpointException(
                            file + ": the file ended at offset " + (position + chunk.position()));
                }
            }
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read: " + e, e);
        }
    }

    /**
     * Closes the file and gives its mappings back at once. No buffer from {@link #bytes} may be
     * touched afterwards: up to JDK 21 that would end the process.
     */
    synchronized void unmap() {
        mappings.forEach(Mapping::close);
        close();
    }

    /** Closes the file; further reads throw {@link IllegalStateException}. */
    @Override
    public synchronized void close() {
        mapped = null;
        mappings.clear();
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e); // nothing was written: cannot lose anything
        }
    }

    private TensorInfo floating(String name) throws CheckpointException {
        TensorInfo tensor = info(name);
        if (!tensor.type().isFloating()) {
            throw new CheckpointException(
                    file
                            + ": tensor '"
                            + name
                            + "' has dtype "
                            + tensor.type()
                            + "; only F64, F32, F16 and BF16 can be read as floats");
        }
        return tensor;
    }

    private static ByteBuffer read(Path file, FileChannel channel, long position, int length)
            throws IOException, CheckpointException {
        ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, position + buffer.position()) < 0) {
                throw new CheckpointException(
                        file + ": the file ended at offset " + (position + buffer.position()));
            }
        }
        return buffer.flip();
    }

    /**
     * Maps windows of at most {@code windowBytes} that hold whole tensors.
     *
     * @param channel the file
     * @param tensors the tensors in the order of their offsets
     * @param windowBytes the bound of one mapping
     * @param mappings receives the windows
     * @return one slice per tensor; a tensor larger than {@code windowBytes} has none
     */
    static Map<String, ByteBuffer> map(
            FileChannel channel,
            Map<String, TensorInfo> tensors,
            int windowBytes,
            List<Mapping> mappings)
            throws IOException {
        Map<String, ByteBuffer> slices = new HashMap<>();
        List<TensorInfo> window = new ArrayList<>();
        long start = 0;
        long end = 0;
        for (TensorInfo tensor : tensors.values()) {
            if (tensor.byteLength() > windowBytes) {
                continue;
            }
            long tensorEnd = tensor.offset() + tensor.byteLength();
            if (window.isEmpty() || tensorEnd - start > windowBytes) {
                mapWindow(channel, window, start, end, slices, mappings);
                window.clear();
                start = tensor.offset();
            }
            window.add(tensor);
            end = tensorEnd;
        }
        mapWindow(channel, window, start, end, slices, mappings);
        return slices;
    }

    private static void mapWindow(
            FileChannel channel,
            List<TensorInfo> window,
            long start,
            long end,
            Map<String, ByteBuffer> slices,
            List<Mapping> mappings)
            throws IOException {
        if (window.isEmpty()) {
            return;
        }
        if (start == end) {
            window.forEach(tensor -> slices.put(tensor.name(), ByteBuffer.allocateDirect(0)));
            return;
        }
        Mapping mapping = Mapping.of(channel, start, end - start);
        mappings.add(mapping);
        ByteBuffer buffer = mapping.buffer();
        for (TensorInfo tensor : window) {
            int from = (int) (tensor.offset() - start);
            slices.put(tensor.name(), buffer.slice(from, (int) tensor.byteLength()));
        }
    }
}
