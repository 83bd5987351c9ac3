package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Single kernels on a square matrix of random words. A product's 10^9 weights per second are {@code
 * size² / (1000 · µs)}.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class KernelsBenchmark {

    /** Tokens of a prompt. */
    static final int TOKENS = 128;

    /**
     * {@code avx512}, {@code avx2}, {@code baseline} or {@code portable}; empty for the fastest.
     */
    @Param("")
    public String level;

    /** Threads that share a kernel, JMH's own stay at one. */
    @Param({"1", "2"})
    public int threads;

    /** Rows and columns. */
    @Param({"4096", "8192"})
    public int size;

    /** The code of the weights. */
    @Param({"D8_16", "E8_16", "D8_8"})
    public PackedCode code;

    private Kernels kernels;
    private PackedMatrix weight;
    private Int8Rows vector;
    private Int8Rows panel;
    private float[] ofVector;
    private float[] ofPanel;
    private float[] floats;

    /** Draws the matrix and what it is multiplied by. */
    @Setup
    public void draw() {
        kernels = KernelChoice.make(level, threads);
        Random random = new Random(1);
        weight = RandomMatrix.packed(code, size, size, random);
        floats = new float[TOKENS * size];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) random.nextGaussian();
        }
        panel = Int8Rows.round(floats, TOKENS, 8);
        vector = Int8Rows.round(Arrays.copyOf(floats, size), 1, 8);
        ofVector = new float[size];
        ofPanel = new float[TOKENS * size];
    }

    /** A step's matrix-vector product with int8 activations. */
    @Benchmark
    public float[] step() {
        kernels.multiply(weight, vector, ofVector);
        return ofVector;
    }

    /** The same for the {@link #TOKENS} tokens of a prompt. */
    @Benchmark
    public float[] prefill() {
        kernels.multiply(weight, panel, ofPanel);
        return ofPanel;
    }

    /** Coding 16 rows of weights at their best scales; on the calling thread alone. */
    @Benchmark
    public DistortionStats encodeRows() {
        DistortionStats stats = new DistortionStats();
        kernels.encodeRows(weight, 0, PackedMatrix.TILE_ROWS, floats, 0, stats);
        return stats;
    }

    /** Coding the activations of {@link #TOKENS} tokens in 4 bits. */
    @Benchmark
    public Int8Rows encodeIntegers() {
        return kernels.encodeIntegers(code, floats, TOKENS);
    }
}
