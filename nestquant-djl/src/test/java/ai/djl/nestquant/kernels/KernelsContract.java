package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What every implementation of {@link Kernels} owes, measured by the scalar decoder. */
public abstract class KernelsContract {
    /** {@link Kernels#multiply}: x is rounded by at most this part of its largest entry. */
    private static final double ROUNDING_OF_X = 0x1p-24;

    /** One rounding of y to float. */
    private static final double ROUNDING_OF_Y = 0x1p-24;

    private static final long SEED = 20250211;

    /** Returns the kernels under test. */
    protected abstract Kernels kernels(int threads);

    /** Sizes at the boundaries of tiles, lanes and chunks. */
    @DataProvider
    public Object[][] sizes() {
        int[] rows = {1, 15, 16, 17, 64, 172};
        int[] columns = {8, 16, 64, 176, 576, 1536};
        Object[][] sizes = new Object[rows.length * columns.length][];
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = new Object[] {rows[i / columns.length], columns[i % columns.length]};
        }
        return sizes;
    }

    @Test(dataProvider = "sizes")
    public void decodedRowsAreTheScalarDecodersTimesTheScale(int rows, int columns) {
        PackedMatrix w = RandomMatrix.of(rows, columns, random(rows, columns));
        float[] panel = new float[rows * columns];
        kernels(2).decodeRows(w, 0, rows, panel);
        assertRows(w, 0, rows, FloatBuffer.wrap(panel));
    }

    @Test
    public void rangesOfRowsStartAndEndAnywhere() {
        PackedMatrix w = RandomMatrix.of(100, 72, random(100, 72));
        for (int[] range : new int[][] {{0, 1}, {3, 3}, {7, 16}, {15, 17}, {16, 32}, {31, 100}}) {
            int count = range[1] - range[0];
            float[] panel = new float[count * 72 + 1];
            Arrays.fill(panel, Float.NaN);
            kernels(2).decodeRows(w, range[0], range[1], panel);
            assertRows(w, range[0], range[1], FloatBuffer.wrap(panel));
            Assert.assertEquals(panel[count * 72], Float.NaN);
        }
    }

    @Test
    public void directPanelsAreWrittenFromTheirPosition() {
        PackedMatrix w = RandomMatrix.of(33, 40, random(33, 40));
        FloatBuffer panel =
                ByteBuffer.allocateDirect(4 * (33 * 40 + 5))
                        .order(ByteOrder.nativeOrder())
                        .asFloatBuffer();
        panel.position(5);
        kernels(2).decodeRows(w, 0, 33, panel);
        Assert.assertEquals(panel.position(), 5);
        assertRows(w, 0, 33, panel.slice());
    }

    @Test(dataProvider = "sizes")
    public void productsAreWithinTheRoundingOfX(int rows, int columns) {
        Random random = random(rows, columns);
        PackedMatrix w = RandomMatrix.of(rows, columns, random);
        for (double magnitude : new double[] {1, 1e-30, 1e30, 1e-44}) {
            assertProduct(w, vector(columns, magnitude, random));
        }
    }

    @Test
    public void oneEntryOfXGivesAColumn() {
        PackedMatrix w = RandomMatrix.of(40, 64, random(40, 64));
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
    public void zeroTimesAMatrixIsZero() {
        float[] y = {1, 1, 1};
        kernels(1).multiply(RandomMatrix.of(3, 16, random(3, 16)), new float[16], y);
        Assert.assertEquals(y, new float[3]);
    }

    @Test
    public void resultsDoNotDependOnTheNumberOfThreads() {
        Random random = random(200, 1000);
        PackedMatrix w = RandomMatrix.of(200, 1000, random);
        float[] x = vector(1000, 1, random);
        float[] one = new float[200];
        kernels(1).multiply(w, x, one);
        for (int threads = 2; threads <= 5; threads++) {
            float[] y = new float[200];
            Kernels kernels = kernels(threads);
            Assert.assertEquals(kernels.threads(), threads);
            kernels.multiply(w, x, y);
            Assert.assertEquals(y, one, threads + " threads");
        }
    }

    @Test
    public void lengthsThatDoNotFitAreRefused() {
        PackedMatrix w = RandomMatrix.of(16, 24, random(16, 24));
        Kernels k = kernels(1);
        assertRefused(() -> k.multiply(w, new float[23], new float[16]), "23", "24");
        assertRefused(() -> k.multiply(w, new float[24], new float[17]), "17", "16");
        assertRefused(() -> k.decodeRows(w, 0, 17, new float[17 * 24]), "17", "16");
        assertRefused(() -> k.decodeRows(w, -1, 2, new float[3 * 24]), "-1", "16");
        assertRefused(() -> k.decodeRows(w, 0, 2, new float[47]), "48", "47");
        float[] x = new float[24];
        x[3] = Float.NaN;
        assertRefused(() -> k.multiply(w, x, new float[16]), "not finite", "x[3] = NaN");
    }

    private void assertProduct(PackedMatrix w, float[] x) {
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
            String where = w + ", row " + row + ", bound " + bound;
            Assert.assertEquals(y[row], product * scale, bound, where);
        }
    }

    private static void assertRows(PackedMatrix w, int from, int to, FloatBuffer panel) {
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

    /** Gaussian with a few giants, as activations are. */
    private static float[] vector(int columns, double magnitude, Random random) {
        float[] x = new float[columns];
        for (int c = 0; c < columns; c++) {
            double giant = random.nextInt(100) == 0 ? 50 : 1;
            x[c] = (float) (random.nextGaussian() * magnitude * giant);
        }
        return x;
    }

    private static Random random(int rows, int columns) {
        return new Random(SEED + 10_000L * rows + columns);
    }
}
