package ai.djl.nestquant.kernels;

import java.lang.ref.Cleaner;
import java.util.function.LongConsumer;

/**
 * An object of C++, freed when it is closed or its owner in Java is garbage.
 *
 * <p>Thread-safe, but for {@link #close}, during which nobody may use the address.
 */
final class NativeHandle implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final String closed;
    private final Memory memory;
    private final Cleaner.Cleanable cleanable;

    /**
     * Takes an object over.
     *
     * @param owner keeps the object alive
     * @param address what C++ knows it by
     * @param free frees it; must not refer to the owner
     * @param closed the message of whoever uses it afterwards
     */
    NativeHandle(Object owner, long address, LongConsumer free, String closed) {
        this.closed = closed;
        memory = new Memory(address, free);
        cleanable = CLEANER.register(owner, memory);
    }

    /** Returns what C++ knows the object by. */
    long address() {
        long address = memory.address;
        if (address == 0) {
            throw new IllegalStateException(closed);
        }
        return address;
    }

    @Override
    public void close() {
        cleanable.clean();
    }

    /** Apart from the handle, which the owner can be reached from. */
    private static final class Memory implements Runnable {
        private final LongConsumer free;
        private volatile long address;

        Memory(long address, LongConsumer free) {
            this.address = address;
            this.free = free;
        }

        @Override
        public void run() {
            long open = address;
            address = 0;
            free.accept(open);
        }
    }
}
