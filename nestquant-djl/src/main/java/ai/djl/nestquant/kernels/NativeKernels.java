package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.RowEncoder;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nestquant.rotation.Rotation;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * Kernels in C++ for one level of instruction set; their threads are their own.
 *
 * <p>Thread-safe, but for {@link #close}, during which no other call may run.
 */
public final class NativeKernels implements Kernels, AutoCloseable {
    static {
        if (NativeLibrary.problem() == null) {
            setPowers(PackedMatrix.powers());
        }
    }

    private final NativeHandle context;
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
        long handle = open(level);
        if (handle == 0) {
            throw new IllegalStateException(
                    "this processor or build has no native kernels of the level " + level);
        }
        context = new NativeHandle(this, handle, NativeKernels::close, "these kernels are closed");
        name = level(handle);
        setThreads(threads);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public LayerKernel layer(LayerSpec spec) {
        return new NativeLayer(this, spec);
    }

    @Override
    public void run(
            List<LayerKernel> layers, LayerKernel.Tokens pass, List<LayerKernel.Cache> caches) {
        NativeLayer.run(this, layers, pass, caches, null, null);
    }

    @Override
    public HeadKernel head(HeadSpec spec) {
        return new NativeHead(this, spec);
    }

    @Override
    public EmbeddingKernel embedding(CodedMatrix w, Rotation rotation) {
        return new NativeEmbedding(this, w, rotation);
    }

    @Override
    public void run(
            List<LayerKernel> layers,
            LayerKernel.Tokens pass,
            List<LayerKernel.Cache> caches,
            HeadKernel head,
            FloatBuffer logits) {
        NativeLayer.run(this, layers, pass, caches, (NativeHead) head, logits);
    }

    /** Returns the context that C++ knows these kernels by. */
    long handle() {
        return context.address();
    }

    @Override
    public int threads() {
        try {
            return threads(context.address());
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
            int started = setThreads(context.address(), threads);
            if (started < threads) {
                throw new IllegalStateException(
                        "the system gives only " + started + " of " + threads + " threads");
            }
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void multiply(CodedMatrix w, Int8Rows x, float[] y) {
        Checks.multiply(w.rows(), w.columns(), x, y.length);
        multiply(w, x, y, 0);
    }

    @Override
    public void multiply(CodedMatrix w, Int8Rows x, FloatBuffer y) {
        Checks.multiply(w.rows(), w.columns(), x, y.remaining());
        if (!shared(y)) {
            Kernels.super.multiply(w, x, y);
            return;
        }
        multiply(w, x, null, address(y.slice()));
        Reference.reachabilityFence(y);
    }

    private void multiply(CodedMatrix w, Int8Rows x, float[] y, long memory) {
        try {
            NativeMatrix.of(w).multiply(context.address(), x, y, memory);
        } finally {
            Reference.reachabilityFence(w);
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void decodeRows(CodedMatrix w, int from, int to, FloatBuffer panel) {
        Checks.rows(w.rows(), w.columns(), from, to, panel.remaining());
        if (from == to) {
            return;
        }
        // to the panel itself if C++ can reach it, otherwise to a direct copy
        FloatBuffer target = panel.slice();
        boolean shared = shared(panel);
        if (!shared) {
            int bytes = Math.multiplyExact((to - from) * w.columns(), Float.BYTES);
            target =
                    ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer();
        }
        try {
            NativeMatrix.of(w).decodeRows(context.address(), from, to, address(target));
        } finally {
            Reference.reachabilityFence(w);
            Reference.reachabilityFence(this);
        }
        if (!shared) {
            panel.slice().put(target);
        }
        Reference.reachabilityFence(target);
    }

    /** Tells whether C++ can reach a buffer. */
    private static boolean shared(FloatBuffer floats) {
        return floats.isDirect() && floats.order() == ByteOrder.nativeOrder();
    }

    @Override
    public float rotateRows(Rotation rotation, float[] x, int rows) {
        boolean sylvester = rotation.paddedLength() == 1 << rotation.exponent();
        if (!sylvester || rows < 0 || (long) rows * rotation.paddedLength() > x.length) {
            return Kernels.super.rotateRows(rotation, x, rows);
        }
        try {
            float[] signs = rotation.signs();
            float largest = rotateRows(context.address(), rotation.exponent(), signs, x, rows);
            return (float) Math.sqrt(largest);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void encodeRows(
            PackedMatrix w, int from, int to, float[] x, int offset, DistortionStats stats) {
        Checks.encode(w, from, to, x, offset);
        double[] results = new double[3 * (to - from)];
        int bad;
        try {
            bad =
                    encodeRows(
                            context.address(),
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
    public void readStored(StoredCodes codes, PackedMatrix matrix, int tile) {
        int tiles = Checks.stored(codes, matrix, tile);
        try {
            readStored(
                    context.address(),
                    matrix.code().ordinal(),
                    tiles * PackedMatrix.TILE_ROWS,
                    matrix.columns(),
                    address(codes.words()),
                    address(codes.betas()),
                    address(matrix.words()) + (long) tile * matrix.wordsPerTile() * Integer.BYTES,
                    address(matrix.betas()) + matrix.indexAt(tile, 0));
        } finally {
            Reference.reachabilityFence(codes);
            Reference.reachabilityFence(matrix);
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public Int8Rows encodeIntegers(PackedCode code, float[] x, int rows) {
        int columns = Checks.vectors(x, rows);
        byte[] integers = new byte[x.length];
        float[] scales = new float[rows];
        int bad;
        try {
            bad =
                    encodeIntegers(
                            context.address(), code.ordinal(), rows, columns, x, integers, scales);
        } finally {
            Reference.reachabilityFence(this);
        }
        checkEncoded(bad, x, bad * columns, columns);
        return new Int8Rows(rows, columns, integers, null, scales);
    }

    /** Throws what C++ only reports: the row, or -1 if all is well. */
    private static void checkEncoded(int bad, float[] x, int offset, int columns) {
        if (bad >= 0) {
            RowEncoder.largestBlockNorm(x, offset, columns); // names the entry
            throw new IllegalStateException("row " + bad + " cannot be encoded");
        }
    }

    @Override
    public long sumWords(ByteBuffer memory) {
        int words = Checks.words(memory);
        try {
            return sumWords(context.address(), address(memory), words);
        } finally {
            Reference.reachabilityFence(memory);
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void takeLargePages(ByteBuffer memory) {
        Checks.direct(memory);
        takeLargePages(address(memory), memory.capacity());
        Reference.reachabilityFence(memory);
    }

    @Override
    public void clear(ByteBuffer memory) {
        Checks.direct(memory);
        try {
            clear(context.address(), address(memory), memory.capacity());
        } finally {
            Reference.reachabilityFence(memory);
            Reference.reachabilityFence(this);
        }
    }

    /** Returns 1 + 2 + … + parts, each added by whichever thread takes it: for tests. */
    long sumOfParts(int parts) {
        try {
            return sumOfParts(context.address(), parts);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Stops the threads; later calls throw {@link IllegalStateException}. */
    @Override
    public void close() {
        context.close();
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
            float[] x,
            byte[] integers,
            float[] scales);

    private static native void readStored(
            long context,
            int code,
            int rows,
            int columns,
            long storedWords,
            long storedBetas,
            long words,
            long betas);

    private static native float rotateRows(
            long context, int exponent, float[] signs, float[] x, int rows);

    private static native long sumOfParts(long context, int parts);

    private static native long sumWords(long context, long memory, int words);

    private static native void takeLargePages(long memory, int bytes);

    private static native void clear(long context, long memory, int bytes);

    private static native void setPowers(float[] powers);

    static native long address(Buffer buffer);

    static native void multiply(
            long context,
            int code,
            int rows,
            int columns,
            long words,
            long betas,
            long scales,
            float tensorScale,
            int vectors,
            byte[] high,
            byte[] low,
            float[] xScales,
            float[] y,
            long buffer);

    static native void decodeRows(
            long context,
            int code,
            int rows,
            int columns,
            long words,
            long betas,
            long scales,
            float tensorScale,
            int from,
            int to,
            long panel);
}
