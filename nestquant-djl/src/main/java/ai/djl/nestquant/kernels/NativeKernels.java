package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.RowEncoder;
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

    /** What encoding returns where malloc fails. */
    private static final int NO_MEMORY = -2;

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

    @Override
    public void encodeRows(
            PackedMatrix w, int from, int to, float[] x, int offset, DistortionStats stats) {
        Checks.encode(w, from, to, x.length - offset);
        double[] results = new double[3 * (to - from)];
        int bad;
        try {
            bad =
                    encodeRows(
                            context.handle(),
                            w.code().ordinal(),
                            w.columns(),
                            address(w.words()),
                            address(w.betas()),
                            address(w.rowScales()),
                            w.tensorScale(),
                            RowEncoder.SCALE_WINDOW,
                            from,
                            to,
                            x,
                            offset,
                            results);
        } finally {
            Reference.reachabilityFence(w);
            Reference.reachabilityFence(this);
        }
        checkEncoded(bad, x, offset + (bad - from) * w.columns(), w.columns());
        for (int i = 0; i < results.length; i += 3) {
            stats.addRow(results[i], results[i + 1], w.blocks(), (int) results[i + 2]);
        }
    }

    @Override
    public Int8Rows encodeIntegers(PackedCode code, float[] x, int rows, int scaleWindow) {
        int columns = Checks.vectors(x, rows, scaleWindow);
        byte[] integers = new byte[x.length];
        float[] scales = new float[rows];
        int bad;
        try {
            bad =
                    encodeIntegers(
                            context.handle(),
                            code.ordinal(),
                            rows,
                            columns,
                            scaleWindow,
                            x,
                            integers,
                            scales);
        } finally {
            Reference.reachabilityFence(this);
        }
        checkEncoded(bad, x, bad * columns, columns);
        return new Int8Rows(rows, columns, integers, null, scales);
    }

    /** Throws what C++ only reports: the row, or -1 if all is well. */
    private static void checkEncoded(int bad, float[] x, int offset, int columns) {
        if (bad == NO_MEMORY) {
            throw new OutOfMemoryError("no native memory to encode rows of " + columns);
        } else if (bad >= 0) {
            RowEncoder.largestBlockNorm(x, offset, columns); // names the entry
            throw new IllegalStateException("row " + bad + " cannot be encoded");
        }
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

    private static native int encodeRows(
            long context,
            int code,
            int columns,
            long words,
            long betas,
            long exponents,
            float tensorScale,
            int window,
            int from,
            int to,
            float[] x,
            int offset,
            double[] stats);

    private static native int encodeIntegers(
            long context,
            int code,
            int rows,
            int columns,
            int window,
            float[] x,
            byte[] integers,
            float[] scales);

    private static native long sumOfParts(long context, int parts);

    private static native int dot(long context, ByteBuffer a, ByteBuffer b, int n);
}
