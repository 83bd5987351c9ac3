package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Random;

/**
 * Prints the speed of {@link Kernels} in 10^9 weights per second, the best of many calls, for
 * matrices of SmolLM2-135M, a large one and an int8 head; arguments are the numbers of threads, 1
 * and 2 if none.
 */
public final class KernelsBenchmark {
    private static final int[][] SIZES = {{1536, 576}, {4096, 4096}, {8192, 8192}};
    private static final int[] HEAD = {49152, 576};

    /** Prefill decodes panels of about this many rows. */
    private static final int PANEL_ROWS = 512;

    private static final long WARM_UP_NANOS = 500_000_000L;
    private static final long NANOS = 1_500_000_000L;

    private KernelsBenchmark() {}

    /**
     * Measures and prints a table.
     *
     * @param args numbers of threads
     */
    public static void main(String[] args) {
        int[] threads = {1, 2};
        if (args.length > 0) {
            threads = new int[args.length];
            for (int i = 0; i < args.length; i++) {
                threads[i] = Integer.parseInt(args[i]);
            }
        }
        System.out.println("| matrix | kernels, JDK | threads | multiply | decodeRows |");
        System.out.println("|---|---|---|---|---|");
        for (int count : threads) {
            Kernels kernels = KernelChoice.make(System.getProperty(KernelChoice.PROPERTY), count);
            for (PackedCode code : PackedCode.values()) {
                for (int[] size : SIZES) {
                    row(kernels, code, size);
                }
            }
            row(kernels, null, HEAD);
            kernels.setThreads(1);
        }
    }

    private static void row(Kernels kernels, PackedCode code, int[] size) {
        TestMatrix w = TestMatrix.of(code, size[0], size[1], new Random(1));
        Int8Rows x = Int8Rows.round(vector(w.columns()), 1, 8);
        float[] y = new float[w.rows()];
        int rows = Math.min(w.rows(), PANEL_ROWS);
        FloatBuffer panel = panel(rows, w.columns());
        double multiply = best(() -> w.multiply(kernels, x, y));
        double decode = best(() -> w.decodeRows(kernels, 0, rows, panel));
        String name = code == null ? "int8" : code.name();
        print(kernels, " " + name, w.rows(), w.columns(), multiply, decode / rows);
    }

    private static float[] vector(int columns) {
        float[] x = new float[columns];
        Random random = new Random(1);
        for (int c = 0; c < columns; c++) {
            x[c] = (float) random.nextGaussian();
        }
        return x;
    }

    private static FloatBuffer panel(int rows, int columns) {
        return ByteBuffer.allocateDirect(rows * columns * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    private static void print(
            Kernels kernels, String code, int rows, int columns, double product, double row) {
        System.out.printf(
                "| %d x %d%s | %s, %s | %d | %.2f | %.2f |%n",
                rows,
                columns,
                code,
                kernels.name(),
                System.getProperty("java.version"),
                kernels.threads(),
                (double) rows * columns / product,
                columns / row);
    }

    /** Returns the least time of one call in nanoseconds. */
    private static double best(Runnable call) {
        long start = System.nanoTime();
        while (System.nanoTime() - start < WARM_UP_NANOS) {
            call.run();
        }
        long best = Long.MAX_VALUE;
        start = System.nanoTime();
        for (long now = start; now - start < NANOS; ) {
            call.run();
            long end = System.nanoTime();
            best = Math.min(best, end - now);
            now = end;
        }
        return best;
    }
}
