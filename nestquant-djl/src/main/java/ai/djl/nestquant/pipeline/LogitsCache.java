package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The float model's logits for all windows in a file without a name, so that they are computed once
 * and methods need no second model in memory: {@code 4 · vocabulary} bytes per token.
 *
 * <p>The file is gone once the cache is closed or the process ends, however it ends (where the
 * operating system lets open files be deleted). Not safe for concurrent use.
 */
final class LogitsCache implements AutoCloseable {

    private final FileChannel channel;
    private final int vocabulary;
    private final long windowBytes;

    /**
     * Makes an empty cache.
     *
     * @param folder where there is room for it
     * @param windows the windows
     * @param vocabulary the number of tokens that there are
     * @throws IOException if the folder has too little room or cannot be written to
     */
    LogitsCache(Path folder, TokenWindows windows, int vocabulary) throws IOException {
        this.vocabulary = vocabulary;
        windowBytes = (long) windows.window(0).length * vocabulary * Float.BYTES;
        if (windowBytes > Integer.MAX_VALUE) {
            throw new IOException(
                    "the logits of a window take "
                            + windowBytes
                            + " bytes, more than can be mapped; take a shorter --context");
        }
        long needed = windows.tokens() * vocabulary * Float.BYTES;
        long free = Files.getFileStore(folder).getUsableSpace();
        if (free < needed) {
            throw new IOException(
                    String.format(
                            "the float model's logits take %,d MB, but %s has %,d MB left; take"
                                    + " fewer --windows or put --results elsewhere",
                            needed / 1_000_000, folder, free / 1_000_000));
        }
        Path file = Files.createTempFile(folder, "logits", ".tmp");
        channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.DELETE_ON_CLOSE);
    }

    /** Keeps the logits of a window. */
    void put(int window, NDArray logits) {
        try {
            ByteBuffer bytes = logits.toByteBuffer(true);
            long at = window * windowBytes;
            while (bytes.hasRemaining()) {
                at += channel.write(bytes, at);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the logits of the window whose tokens are given; they must not be written to. */
    NDArray get(NDArray ids, int window) {
        Shape shape = ids.getShape().add(vocabulary);
        try {
            ByteBuffer bytes =
                    channel.map(
                            FileChannel.MapMode.READ_ONLY,
                            window * windowBytes,
                            shape.size() * Float.BYTES);
            return ids.getManager()
                    .create(bytes.order(ByteOrder.nativeOrder()), shape, DataType.FLOAT32);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Deletes the file. */
    @Override
    public void close() throws IOException {
        channel.close();
    }
}
