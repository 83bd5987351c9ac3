package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What every implementation of {@link Kernels} owes for int8 matrices. */
public abstract class Int8KernelsContract {
    /** {@link Kernels#multiply(Int8Matrix, float[], float[])}: x is rounded by this part. */
    private static final double ROUNDING_OF_X = 0x1p-19;

    /** One rounding of y to float. */
    private static final double ROUNDING_OF_Y = 0x1p-24;

    private static final long SEED = 8;

    /** Returns the kernels under test. */
    protected abstract Kernels kernels(int threads);

    /** Sizes at the boundaries of tiles, chunks and of what an int can sum. */
    @DataProvider
    public Object[][] sizes() {
        int[] rows = {1, 16, 17, 100};
        int[] columns = {4, 8, 128, 132, 576, 1024, 2056};
        Object[][] sizes = new Object[rows.length * columns.length][];
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = new Object[] {rows[i / columns.length], columns[i % columns.length]};
        }
        return sizes;
    }

    @Test(dataProvider = "sizes")
    public void decodedRowsAreTheScalarDecodersTimesTheScale(int rows, int columns) {
        Int8Matrix w = matrix(rows, columns, new Random(SEED));
        for (int[] range : new int[][] {{0, rows}, {rows / 2, rows}, {0, (rows + 1) / 2}}) {
            int count = range[1] - range[0];
            FloatBuffer panel = FloatBuffer.allocate(count * columns + 2);
            panel.put(0, Float.NaN).put(count * columns + 1, Float.NaN).position(1);
            kernels(2).decodeRows(w, range[0], range[1], panel);
            Assert.assertEquals(panel.position(), 1);
            Assert.assertEquals(panel.get(0), Float.NaN);
            Assert.assertEquals(panel.get(count * columns + 1), Float.NaN);
            assertRows(w, range[0], range[1], panel.slice());
        }
    }

    @Test(dataProvider = "sizes")
    public void productsAreWithinTheRoundingOfX(int rows, int columns) {
        Random random = new Random(SEED);
        Int8Matrix w = matrix(rows, columns, random);
        for (double magnitude : new double[] {1, 1e-30, 1e30, 1e-44}) {
            float[] x = new float[columns];
            for (int c = 0; c < columns; c++) {
                double giant = random.nextInt(100) == 0 ? 50 : 1;
                x[c] = (float) (random.nextGaussian() * magnitude * giant);
            }
            assertProduct(w, x);
        }
    }

    @Test
    public void largestSumsDoNotOverflow() {
        int columns = 8192;
        Int8Matrix w = Int8Matrix.allocate(16, columns);
        float[] ones = new float[columns];
        Arrays.fill(ones, 1);
        for (int row = 0; row < 16; row++) {
            w.encodeRow(row, ones, 0);
        }
        for (float sign : new float[] {1, -1}) {
            float[] x = new float[columns];
            // just below a power of two: the largest fixed-point number there is
            Arrays.fill(x, sign * Math.nextDown(2f));
            assertProduct(w, x);
        }
    }

    @Test
    public void oneEntryOfXGivesAColumn() {
        Int8Matrix w = matrix(40, 64, new Random(SEED));
        byte[] q = new byte[64];
        for (int c = 0; c < 64; c++) {
            float[] x = new float[64];
            x[c] = -1;
            float[] y = new float[40];
            kernels(2).multiply(w, x, y);
            for (int r = 0; r < 40; r++) {
                w.decodeRow(r, q);
                Assert.assertEquals(y[r], -q[c] * w.rowScale(r), "row " + r + ", column " + c);
            }
        }
    }

    @Test
    public void resultsDoNotDependOnTheNumberOfThreads() {
        Random random = new Random(SEED);
        Int8Matrix w = matrix(200, 1000, random);
        float[] x = new float[1000];
        for (int c = 0; c < x.length; c++) {
            x[c] = (float) random.nextGaussian();
        }
        float[] one = new float[200];
        kernels(1).multiply(w, x, one);
        for (int threads = 2; threads <= 5; threads++) {
            float[] y = new float[200];
            kernels(threads).multiply(w, x, y);
            Assert.assertEquals(y, one, threads + " threads");
        }
        kernels(2).multiply(w, new float[1000], one);
        Assert.assertEquals(one, new float[200]);
    }

    @Test
    public void lengthsThatDoNotFitAreRefused() {
        Int8Matrix w = matrix(16, 24, new Random(SEED));
        Kernels k = kernels(1);
        assertRefused(() -> k.multiply(w, new float[23], new float[16]), "23", "24");
        assertRefused(() -> k.multiply(w, new float[24], new float[17]), "17", "16");
        assertRefused(() -> k.decodeRows(w, 0, 17, FloatBuffer.allocate(17 * 24)), "17", "16");
        assertRefused(() -> k.decodeRows(w, 0, 2, FloatBuffer.allocate(47)), "48", "47");
        float[] x = new float[24];
        x[3] = Float.NaN;
        assertRefused(() -> k.multiply(w, x, new float[16]), "not finite", "x[3] = NaN");
    }

    private void assertProduct(Int8Matrix w, float[] x) {
        float[] y = new float[w.rows()];
        kernels(2).multiply(w, x, y);
        double largest = 0;
        for (float v : x) {
            largest = Math.max(largest, Math.abs(v));
        }
        byte[] q = new byte[w.columns()];
        for (int row = 0; row < w.rows(); row++) {
            w.decodeRow(row, q);
            double product = 0;
            double sizes = 0;
            for (int c = 0; c < q.length; c++) {
                product += (double) q[c] * x[c];
                sizes += Math.abs(q[c]);
            }
            double scale = w.rowScale(row);
            double bound = ROUNDING_OF_X * largest * scale * sizes;
            bound += ROUNDING_OF_Y * Math.abs(product * scale) + Float.MIN_VALUE;
            Assert.assertEquals(y[row], product * scale, bound, w + ", row " + row);
        }
    }

    private static void assertRows(Int8Matrix w, int from, int to, FloatBuffer panel) {
        byte[] q = new byte[w.columns()];
        for (int row = from; row < to; row++) {
            w.decodeRow(row, q);
            for (int c = 0; c < q.length; c++) {
                float actual = panel.get((row - from) * q.length + c);
                if (actual != q[c] * w.rowScale(row)) {
                    String where = w + ", row " + row + ", column " + c;
                    Assert.assertEquals(actual, q[c] * w.rowScale(row), where);
                }
            }
        }
    }

    private static void assertRefused(Assert.ThrowingRunnable call, String... numbers) {
        String message = Assert.expectThrows(IllegalArgumentException.class, call).getMessage();
        for (String number : numbers) {
            Assert.assertTrue(message.contains(number), message);
        }
    }

    static Int8Matrix matrix(int rows, int columns, Random random) {
        Int8Matrix w = Int8Matrix.allocate(rows, columns);
        float[] row = new float[columns];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                row[c] = (float) random.nextGaussian();
            }
            w.encodeRow(r, row, 0);
        }
        return w;
    }
}
