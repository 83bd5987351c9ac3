package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedMatrix;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/**
 * Kernels in C++ for one level of instruction set; their threads are their own.
 *
 * <p>Thread-safe, but for {@link #close}, during which no other call may run.
 */
public final class NativeKernels implements Kernels, AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final Kernels portable;
    private final Context context;
    private final Cleaner.Cleanable cleanable;
    private final String name;

    /**
     * Makes kernels with their own worker threads.
     *
     * @param level {@code avx512}, {@code avx2} or {@code baseline}; null for the best of this
     *     processor
     * @param threads 1 to {@link Kernels#MAX_THREADS}, the caller's included
     * @throws IllegalStateException if this machine has no such kernels, saying why
     * @throws IllegalArgumentException if the number is out of range
     */
    public NativeKernels(String level, int threads) {
        if (NativeLibrary.problem() != null) {
            throw new IllegalStateException(NativeLibrary.problem());
        }
        portable = new PortableKernels(1);
        long handle = open(level);
        if (handle == 0) {
            throw new IllegalStateException(
                    "this processor or build has no native kernels of the level " + level);
        }
        context = new Context(handle);
        cleanable = CLEANER.register(this, context);
        name = level(handle);
        setThreads(threads);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int threads() {
        try {
            return threads(context.handle());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void setThreads(int threads) {
        if (threads < 1 || threads > MAX_THREADS) {
            throw new IllegalArgumentException(
                    "threads must be 1 to " + MAX_THREADS + ", got " + threads);
        }
        try {
            int started = setThreads(context.handle(), threads);
            if (started < threads) {
                throw new IllegalStateException(
                        "the system gives only " + started + " of " + threads + " threads");
            }
        } finally {
            Reference.reachabilityFence(this);
        }
        portable.setThreads(threads);
    }

    @Override
    public void multiply(PackedMatrix w, Int8Rows x, float[] y) {
        portable.multiply(w, x, y);
    }

    @Override
    public void decodeRows(PackedMatrix w, int from, int to, FloatBuffer panel) {
        portable.decodeRows(w, from, to, panel);
    }

    @Override
    public void multiply(Int8Matrix w, Int8Rows x, float[] y) {
        portable.multiply(w, x, y);
    }

    @Override
    public void decodeRows(Int8Matrix w, int from, int to, FloatBuffer panel) {
        portable.decodeRows(w, from, to, panel);
    }

    /** Returns 1 + 2 + … + parts, each added by whichever thread takes it: for tests. */
    long sumOfParts(int parts) {
        try {
            return sumOfParts(context.handle(), parts);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Returns {@code Σ a[i]·b[i]} over all bytes of two direct buffers. */
    int dot(ByteBuffer a, ByteBuffer b) {
        try {
            return dot(context.handle(), a, b, a.capacity());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Stops the threads; later calls throw {@link IllegalStateException}. */
    @Override
    public void close() {
        cleanable.clean();
        portable.setThreads(1);
    }

    /** What C++ owns; apart from the kernels, so that it can be freed when they are garbage. */
    private static final class Context implements Runnable {
        private volatile long handle;

        Context(long handle) {
            this.handle = handle;
        }

        long handle() {
            long open = handle;
            if (open == 0) {
                throw new IllegalStateException("these kernels are closed");
            }
            return open;
        }

        @Override
        public void run() {
            long open = handle;
            handle = 0;
            NativeKernels.close(open);
        }
    }

    private static native long open(String level);

    private static native void close(long context);

    private static native String level(long context);

    private static native int threads(long context);

    private static native int setThreads(long context, int threads);

    private static native long sumOfParts(long context, int parts);

    private static native int dot(long context, ByteBuffer a, ByteBuffer b, int n);
}
