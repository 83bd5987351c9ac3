package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.codec.RowEncoder;
import ai.djl.nestquant.codec.StoredCodes;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Kernels in plain Java: no flags, no incubating modules, any processor.
 *
 * <p>A product rounds x once to fixed point ({@link FixedPoint}); all else are exact integer sums
 * and one final rounding. Row tiles are shared by a {@link WorkerPool}.
 *
 * <p>Thread-safe.
 */
public final class PortableKernels implements Kernels {
    /** Parts per thread if there are enough tiles: evens out other loads on the machine. */
    private static final int PARTS = 2;

    /** Tiles of a part that make its set-up (spreading x) 4% of its time. */
    private static final int PART_TILES = 16;

    /** Zeros that are copied at once. */
    private static final int CLEARED_BYTES = 1 << 16;

    private final WorkerPool pool = new WorkerPool();
    private final ThreadLocal<MultiplyJob> multiplyJobs = ThreadLocal.withInitial(MultiplyJob::new);
    private final ThreadLocal<DecodeJob> decodeJobs = ThreadLocal.withInitial(DecodeJob::new);
    private final ThreadLocal<Int8MultiplyJob> int8MultiplyJobs =
            ThreadLocal.withInitial(Int8MultiplyJob::new);
    private final ThreadLocal<Int8DecodeJob> int8DecodeJobs =
            ThreadLocal.withInitial(Int8DecodeJob::new);

    /**
     * Makes kernels with their own worker threads.
     *
     * @param threads 1 to {@link Kernels#MAX_THREADS}, the caller's included
     * @throws IllegalArgumentException if the number is out of range
     */
    public PortableKernels(int threads) {
        pool.setThreads(threads);
    }

    @Override
    public String name() {
        return "portable";
    }

    @Override
    public int threads() {
        return pool.threads();
    }

    @Override
    public void setThreads(int threads) {
        pool.setThreads(threads);
    }

    @Override
    public void multiply(CodedMatrix w, Int8Rows x, float[] y) {
        Checks.multiply(w.rows(), w.columns(), x, y.length);
        if (w instanceof PackedMatrix packed) {
            multiply(packed, x, y);
        } else {
            Int8Matrix int8 = (Int8Matrix) w;
            int8MultiplyJobs.get().multiply(int8, x, y, pool, parts(int8.tiles()));
        }
    }

    private void multiply(PackedMatrix w, Int8Rows x, float[] y) {
        MultiplyJob job = multiplyJobs.get();
        int parts = parts(w.tiles());
        job.begin(w, x, y, parts);
        try {
            pool.run(parts, job);
        } finally {
            job.end();
        }
    }

    @Override
    public void decodeRows(CodedMatrix w, int from, int to, FloatBuffer panel) {
        Checks.rows(w.rows(), w.columns(), from, to, panel.remaining());
        if (from == to) {
            return;
        }
        if (w instanceof PackedMatrix packed) {
            decodeRows(packed, from, to, panel);
        } else {
            decodeRows((Int8Matrix) w, from, to, panel);
        }
    }

    private void decodeRows(PackedMatrix w, int from, int to, FloatBuffer panel) {
        int firstTile = from / PackedMatrix.TILE_ROWS;
        int tiles = (to - 1) / PackedMatrix.TILE_ROWS + 1 - firstTile;
        DecodeJob job = decodeJobs.get();
        int parts = parts(tiles);
        job.begin(w, from, to, panel, parts);
        try {
            pool.run(parts, job);
        } finally {
            job.end();
        }
    }

    private void decodeRows(Int8Matrix w, int from, int to, FloatBuffer panel) {
        int parts = parts((to - 1) / Int8Matrix.TILE_ROWS + 1 - from / Int8Matrix.TILE_ROWS);
        Int8DecodeJob job = int8DecodeJobs.get();
        job.begin(w, from, to, panel, parts);
        try {
            pool.run(parts, job);
        } finally {
            job.end();
        }
    }

    @Override
    public void encodeRows(
            PackedMatrix w, int from, int to, float[] x, int offset, DistortionStats stats) {
        Checks.encode(w, from, to, x, offset);
        PackedMatrixEncoder encoder = new PackedMatrixEncoder(w);
        for (int row = from; row < to; row++) {
            encoder.encodeRow(row, x, offset + (row - from) * w.columns(), stats);
        }
    }

    @Override
    public void readStored(StoredCodes codes, PackedMatrix matrix, int tile) {
        int tiles = Checks.stored(codes, matrix, tile);
        pool.run(tiles, part -> codes.read(part, matrix, tile + part));
    }

    @Override
    public Int8Rows encodeIntegers(PackedCode code, float[] x, int rows) {
        int columns = Checks.vectors(x, rows);
        byte[] integers = new byte[x.length];
        float[] scales = new float[rows];
        pool.run(
                rows,
                row ->
                        scales[row] =
                                RowEncoder.encodeIntegers(
                                        code, x, row * columns, columns, integers));
        return new Int8Rows(rows, columns, integers, null, scales);
    }

    @Override
    public long sumWords(ByteBuffer memory) {
        int words = Checks.words(memory);
        LongBuffer longs = memory.duplicate().clear().order(ByteOrder.nativeOrder()).asLongBuffer();
        int parts = PARTS * pool.threads();
        AtomicLong sum = new AtomicLong();
        pool.run(
                parts,
                part -> {
                    int from = (int) ((long) words * part / parts);
                    int to = (int) ((long) words * (part + 1) / parts);
                    sum.addAndGet(sumWords(longs, from, to));
                });
        return sum.get();
    }

    @Override
    public void clear(ByteBuffer memory) {
        Checks.direct(memory);
        ByteBuffer bytes = memory.duplicate().clear();
        byte[] zeros = new byte[Math.min(bytes.capacity(), CLEARED_BYTES)];
        while (bytes.hasRemaining()) {
            bytes.put(zeros, 0, Math.min(bytes.remaining(), zeros.length));
        }
    }

    /** Four sums, so that additions do not wait for each other. */
    private static long sumWords(LongBuffer words, int from, int to) {
        long a = 0;
        long b = 0;
        long c = 0;
        long d = 0;
        int i = from;
        for (; i < to - 3; i += 4) {
            a += words.get(i);
            b += words.get(i + 1);
            c += words.get(i + 2);
            d += words.get(i + 3);
        }
        for (; i < to; i++) {
            a += words.get(i);
        }
        return a + b + c + d;
    }

    private int parts(int tiles) {
        int threads = pool.threads();
        int wanted = Math.max(threads, Math.min(PARTS * threads, tiles / PART_TILES));
        return threads == 1 ? 1 : Math.min(tiles, wanted);
    }
}
