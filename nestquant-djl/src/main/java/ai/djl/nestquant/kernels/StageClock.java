package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Where the time of quantised inference goes, measured on request.
 *
 * <p>While a clock runs, {@link Kernels#best} returns kernels that report to it, and blocks report
 * what they do beside. A stage's time is that during which at least one thread was in it, so stages
 * that run on several threads are not counted twice. One clock runs at a time in a process; without
 * one the cost is a volatile read. Safe for concurrent use.
 */
public final class StageClock implements AutoCloseable {

    /** What is told apart; the rest is the host engine's. */
    public enum Stage {
        /** Rotations of activations and head vectors. */
        ROTATION,
        /** Activations, keys and values to codes. */
        ENCODING,
        /** Codes to floats: keys and values, and weights where a panel of them is decoded. */
        DECODING,
        /** Products with coded weights; those that decode as they multiply do both here. */
        PRODUCTS
    }

    private static volatile StageClock running;

    private final Map<Stage, Span> spans = new EnumMap<>(Stage.class);
    private final Kernels kernels;

    private StageClock(Kernels kernels) {
        this.kernels = new Timed(kernels);
        for (Stage stage : Stage.values()) {
            spans.put(stage, new Span());
        }
    }

    /**
     * Starts a clock.
     *
     * @return the clock, which runs until it is closed
     * @throws IllegalStateException if one is running already
     */
    public static synchronized StageClock start() {
        if (running != null) {
            throw new IllegalStateException("a clock is running already");
        }
        running = new StageClock(Kernels.best());
        return running;
    }

    /**
     * Tells whether a clock runs.
     *
     * @return true if one does
     */
    public static boolean isRunning() {
        return running != null;
    }

    /** Returns the kernels that report to the running clock, or those given if there is none. */
    static Kernels timed(Kernels plain) {
        StageClock clock = running;
        return clock == null ? plain : clock.kernels;
    }

    /**
     * Says that the calling thread begins something, if a clock runs.
     *
     * @param stage what it begins
     */
    public static void enter(Stage stage) {
        StageClock clock = running;
        if (clock != null) {
            clock.spans.get(stage).enter();
        }
    }

    /**
     * Says that the calling thread has done what it has begun.
     *
     * @param stage what it began
     */
    public static void leave(Stage stage) {
        StageClock clock = running;
        if (clock != null) {
            clock.spans.get(stage).leave();
        }
    }

    /**
     * Returns the time of a stage so far.
     *
     * @param stage the stage
     * @return seconds since the clock was started or reset
     */
    public double seconds(Stage stage) {
        return spans.get(stage).nanos() / 1e9;
    }

    /** Sets all stages to zero. */
    public void reset() {
        spans.values().forEach(Span::reset);
    }

    /** Stops the clock. */
    @Override
    public void close() {
        running = null;
    }

    /** The time during which at least one thread is inside. */
    private static final class Span {

        private int inside;
        private long since;
        private long total;

        synchronized void enter() {
            if (inside++ == 0) {
                since = System.nanoTime();
            }
        }

        synchronized void leave() {
            if (inside > 0 && --inside == 0) { // entered before the clock was started: not counted
                total += System.nanoTime() - since;
            }
        }

        synchronized long nanos() {
            return total;
        }

        synchronized void reset() {
            total = 0;
        }
    }

    /** Kernels that report what they do. */
    private record Timed(Kernels plain) implements Kernels {

        private static void timed(Stage stage, Runnable work) {
            enter(stage);
            try {
                work.run();
            } finally {
                leave(stage);
            }
        }

        @Override
        public String name() {
            return plain.name();
        }

        @Override
        public int threads() {
            return plain.threads();
        }

        @Override
        public LayerKernel layer(LayerSpec spec) {
            return plain.layer(spec);
        }

        @Override
        public void run(
                List<LayerKernel> layers, LayerKernel.Tokens pass, List<LayerKernel.Cache> caches) {
            plain.run(layers, pass, caches);
        }

        @Override
        public HeadKernel head(HeadSpec spec) {
            return plain.head(spec);
        }

        @Override
        public EmbeddingKernel embedding(CodedMatrix w, Rotation rotation) {
            return plain.embedding(w, rotation);
        }

        @Override
        public void run(
                List<LayerKernel> layers,
                LayerKernel.Tokens pass,
                List<LayerKernel.Cache> caches,
                HeadKernel head,
                FloatBuffer logits) {
            plain.run(layers, pass, caches, head, logits);
        }

        @Override
        public void setThreads(int threads) {
            plain.setThreads(threads);
        }

        @Override
        public void multiply(CodedMatrix w, Int8Rows x, float[] y) {
            timed(Stage.PRODUCTS, () -> plain.multiply(w, x, y));
        }

        @Override
        public void multiply(CodedMatrix w, Int8Rows x, FloatBuffer y) {
            timed(Stage.PRODUCTS, () -> plain.multiply(w, x, y));
        }

        @Override
        public void decodeRows(CodedMatrix w, int from, int to, FloatBuffer panel) {
            timed(Stage.DECODING, () -> plain.decodeRows(w, from, to, panel));
        }

        @Override
        public float rotateRows(Rotation rotation, float[] x, int rows) {
            enter(Stage.ROTATION);
            try {
                return plain.rotateRows(rotation, x, rows);
            } finally {
                leave(Stage.ROTATION);
            }
        }

        @Override
        public void encodeRows(
                PackedMatrix w, int from, int to, float[] x, int offset, DistortionStats stats) {
            timed(Stage.ENCODING, () -> plain.encodeRows(w, from, to, x, offset, stats));
        }

        @Override
        public void readStored(StoredCodes codes, PackedMatrix matrix, int tile) {
            plain.readStored(codes, matrix, tile);
        }

        @Override
        public long sumWords(ByteBuffer memory) {
            return plain.sumWords(memory);
        }

        @Override
        public void takeLargePages(ByteBuffer memory) {
            plain.takeLargePages(memory);
        }

        @Override
        public void clear(ByteBuffer memory) {
            plain.clear(memory);
        }

        @Override
        public Int8Rows encodeIntegers(PackedCode code, float[] x, int rows) {
            enter(Stage.ENCODING);
            try {
                return plain.encodeIntegers(code, x, rows);
            } finally {
                leave(Stage.ENCODING);
            }
        }
    }
}
