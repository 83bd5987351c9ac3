package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.lang.ref.Cleaner;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;

/**
 * A read-only view of a part of a file that can be given back at once; left alone, it goes when no
 * buffer of it is reachable.
 *
 * <p>The means are an arena from JDK 22 on and {@code Unsafe.invokeCleaner} before, both reached by
 * reflection, since the code is compiled for JDK 17. Thread-safe.
 */
final class Mapping implements AutoCloseable {

    private static final int FIRST_WITH_ARENAS = 22;

    private static final Cleaner CLEANER = Cleaner.create();

    private final ByteBuffer buffer;
    private AutoCloseable release;

    private Mapping(ByteBuffer buffer, AutoCloseable release) {
        this.buffer = buffer;
        this.release = release;
    }

    /**
     * Maps a part of a file.
     *
     * @param channel the file
     * @param position its first byte
     * @param size its length, less than 2^31
     * @return the mapping
     * @throws IOException if it cannot be mapped
     */
    static Mapping of(FileChannel channel, long position, long size) throws IOException {
        try {
            return Runtime.version().feature() < FIRST_WITH_ARENAS
                    ? withCleaner(channel.map(MapMode.READ_ONLY, position, size))
                    : withArena(channel, position, size);
        } catch (ReflectiveOperationException e) {
            // an unknown platform: the garbage collector releases it
            return new Mapping(channel.map(MapMode.READ_ONLY, position, size), () -> {});
        }
    }

    private static Mapping withCleaner(ByteBuffer mapped) throws ReflectiveOperationException {
        Class<?> type = Class.forName("sun.misc.Unsafe");
        Field field = type.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        Object unsafe = field.get(null);
        Method clean = type.getMethod("invokeCleaner", ByteBuffer.class);
        return new Mapping(mapped, () -> clean.invoke(unsafe, mapped));
    }

    private static Mapping withArena(FileChannel channel, long position, long size)
            throws ReflectiveOperationException {
        Class<?> type = Class.forName("java.lang.foreign.Arena");
        AutoCloseable arena = (AutoCloseable) type.getMethod("ofShared").invoke(null);
        Object segment =
                FileChannel.class
                        .getMethod("map", MapMode.class, long.class, long.class, type)
                        .invoke(channel, MapMode.READ_ONLY, position, size, arena);
        // an arena is not closed by the garbage collector; slices keep their segment reachable
        Cleaner.Cleanable release = CLEANER.register(segment, () -> close(arena));
        Method view = Class.forName("java.lang.foreign.MemorySegment").getMethod("asByteBuffer");
        return new Mapping((ByteBuffer) view.invoke(segment), release::clean);
    }

    private static void close(AutoCloseable arena) {
        try {
            arena.close();
        } catch (Exception e) {
            throw new IllegalStateException("a mapped file is still in use: " + e, e);
        }
    }

    /** Returns the bytes; on JDK 17 to 21 they must not be touched after {@link #close}. */
    ByteBuffer buffer() {
        return buffer;
    }

    /** Gives the memory back. */
    @Override
    public synchronized void close() {
        close(release);
        release = () -> {};
    }
}
