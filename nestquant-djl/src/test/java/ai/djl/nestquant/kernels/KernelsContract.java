package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.StoredCodes;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What every implementation of {@link Kernels} owes, to the bit, by the scalar decoder. */
public abstract class KernelsContract {
    private static final long SEED = 20250211;

    /** Returns the kernels under test. */
    protected abstract Kernels kernels(int threads);

    /** The packed codes, and null for int8. */
    @DataProvider
    public Object[][] codes() {
        PackedCode[] codes = PackedCode.values();
        Object[][] all = new Object[codes.length + 1][1];
        for (int i = 0; i < codes.length; i++) {
            all[i][0] = codes[i];
        }
        return all;
    }

    /** Codes, and sizes at the boundaries of tiles, lanes and chunks. */
    @DataProvider
    public Object[][] sizes() {
        List<Object[]> sizes = new ArrayList<>();
        for (Object[] code : codes()) {
            for (int rows : new int[] {1, 15, 16, 17, 64, 172}) {
                for (int columns : new int[] {8, 16, 64, 176, 576, 1536, 2056}) {
                    sizes.add(new Object[] {code[0], rows, columns});
                }
            }
        }
        return sizes.toArray(new Object[0][]);
    }

    @Test(dataProvider = "sizes")
    public void decodedRowsAreTheScalarDecodersTimesTheScale(
            PackedCode code, int rows, int columns) {
        TestMatrix w = TestMatrix.of(code, rows, columns, random(rows, columns));
        float[] panel = new float[rows * columns];
        w.decodeRows(kernels(2), 0, rows, FloatBuffer.wrap(panel));
        assertRows(w, 0, rows, FloatBuffer.wrap(panel));
    }

    @Test(dataProvider = "codes")
    public void rangesOfRowsStartAndEndAnywhere(PackedCode code) {
        TestMatrix w = TestMatrix.of(code, 100, 72, random(100, 72));
        for (int[] range : new int[][] {{0, 1}, {3, 3}, {7, 16}, {15, 17}, {16, 32}, {31, 100}}) {
            int count = range[1] - range[0];
            float[] panel = new float[count * 72 + 1];
            Arrays.fill(panel, Float.NaN);
            w.decodeRows(kernels(2), range[0], range[1], FloatBuffer.wrap(panel));
            assertRows(w, range[0], range[1], FloatBuffer.wrap(panel));
            Assert.assertEquals(panel[count * 72], Float.NaN);
        }
    }

    @Test(dataProvider = "codes")
    public void directPanelsAreWrittenFromTheirPosition(PackedCode code) {
        TestMatrix w = TestMatrix.of(code, 33, 40, random(33, 40));
        FloatBuffer panel =
                ByteBuffer.allocateDirect(4 * (33 * 40 + 5))
                        .order(ByteOrder.nativeOrder())
                        .asFloatBuffer();
        panel.position(5);
        w.decodeRows(kernels(2), 0, 33, panel);
        Assert.assertEquals(panel.position(), 5);
        assertRows(w, 0, 33, panel.slice());
    }

    @Test(dataProvider = "sizes")
    public void productsAreExactSumsTimesTheScales(PackedCode code, int rows, int columns) {
        Random random = random(rows, columns);
        TestMatrix w = TestMatrix.of(code, rows, columns, random);
        for (int tokens : new int[] {0, 1, 2, 7}) {
            assertProduct(w, rows(tokens, columns, 8, random));
            assertProduct(w, rows(tokens, columns, 16, random));
        }
    }

    @Test(dataProvider = "codes")
    public void manyTokensGiveTheSameProducts(PackedCode code) {
        Random random = random(70, 264);
        TestMatrix w = TestMatrix.of(code, 70, 264, random);
        assertProduct(w, rows(133, 264, 8, random));
        assertProduct(w, rows(64, 264, 16, random));
    }

    @Test
    public void largestSumsDoNotOverflow() {
        int columns = 1 << 16;
        Int8Matrix w = Int8Matrix.allocate(16, columns);
        float[] ones = new float[columns];
        Arrays.fill(ones, 1);
        for (int row = 0; row < 16; row++) {
            w.encodeRow(row, ones, 0);
        }
        for (int integer : new int[] {127, -128}) {
            byte[] x = new byte[columns];
            Arrays.fill(x, (byte) integer);
            assertProduct(TestMatrix.of(w), new Int8Rows(1, columns, x, null, new float[] {1}));
            assertProduct(TestMatrix.of(w), new Int8Rows(1, columns, x, x, new float[] {1}));
        }
    }

    @Test(dataProvider = "codes")
    public void resultsDoNotDependOnTheNumberOfThreads(PackedCode code) {
        Random random = random(200, 1000);
        TestMatrix w = TestMatrix.of(code, 200, 1000, random);
        for (int tokens : new int[] {1, 40}) {
            Int8Rows x = rows(tokens, 1000, 16, random);
            float[] one = new float[tokens * 200];
            w.multiply(kernels(1), x, one);
            for (int threads = 2; threads <= 5; threads++) {
                float[] y = new float[tokens * 200];
                Kernels kernels = kernels(threads);
                Assert.assertEquals(kernels.threads(), threads);
                w.multiply(kernels, x, y);
                Assert.assertEquals(y, one, threads + " threads");
            }
        }
    }

    @Test(dataProvider = "sizes")
    public void storedTilesAreReadAsTheScalarCodeReadsThem(PackedCode code, int rows, int columns) {
        if (code == null) {
            return; // int8 rows are stored as they are in memory
        }
        Random random = random(rows, columns);
        PackedMatrix expected = PackedMatrix.allocate(code, rows, columns, 1f);
        StoredCodes stored = StoredCodes.allocate(expected, expected.tiles());
        fillRows(stored, expected, random);
        for (int tile = 0; tile < expected.tiles(); tile++) {
            stored.read(tile, expected, tile);
        }
        PackedMatrix actual = PackedMatrix.allocate(code, rows, columns, 1f);
        for (int i = 0; i < actual.words().capacity(); i++) {
            actual.words().put(i, random.nextInt()); // is overwritten
        }
        for (int i = 0; i < actual.indexAt(actual.tiles(), 0); i++) {
            actual.betas().put(i, (byte) random.nextInt());
        }
        kernels(2).readStored(stored, actual, 0);
        Assert.assertEquals(actual.words(), expected.words());
        Assert.assertEquals(actual.betas(), expected.betas());
        if (expected.tiles() == 1) {
            PackedMatrix larger = PackedMatrix.allocate(code, rows + 32, columns, 1f);
            kernels(1).readStored(stored, larger, 1);
            Assert.assertEquals(larger.word(16, 0), expected.word(0, 0));
            Assert.assertEquals(larger.word(0, 0), 0);
            assertRefused(() -> kernels(1).readStored(stored, larger, 3), "tile 3");
        }
    }

    /** Random words, and halves and quarters of q for ties, where there are rows. */
    private static void fillRows(StoredCodes stored, PackedMatrix matrix, Random random) {
        IntBuffer words = stored.words().asIntBuffer();
        for (int i = 0; i < words.capacity(); i++) {
            int row = i / matrix.wordsPerTile() * 16 + i % 16;
            int word = random.nextInt() & (i % 3 == 0 ? 0x888c8c88 : -1);
            words.put(i, row < matrix.rows() ? word : 0);
        }
        IntBuffer betas = stored.betas().asIntBuffer();
        for (int i = 0; i < betas.capacity(); i++) {
            int rows = Math.min(16, matrix.rows() - i / matrix.blocks() * 16);
            betas.put(i, (int) (random.nextInt() & (1L << 2 * rows) - 1));
        }
    }

    @Test(dataProvider = "codes")
    public void lengthsThatDoNotFitAreRefused(PackedCode code) {
        TestMatrix w = TestMatrix.of(code, 16, 24, random(16, 24));
        Kernels k = kernels(1);
        Random random = random(1, 1);
        assertRefused(
                () -> w.multiply(k, rows(1, 16, 8, random), new float[16]), "16 entries", "24");
        assertRefused(() -> w.multiply(k, rows(1, 24, 8, random), new float[17]), "17", "16");
        assertRefused(() -> w.multiply(k, rows(2, 24, 8, random), new float[16]), "16", "32");
        assertRefused(() -> w.decodeRows(k, 0, 17, FloatBuffer.allocate(17 * 24)), "17", "16");
        assertRefused(() -> w.decodeRows(k, -1, 2, FloatBuffer.allocate(3 * 24)), "-1", "16");
        assertRefused(() -> w.decodeRows(k, 0, 2, FloatBuffer.allocate(47)), "48", "47");
    }

    @Test
    public void sumOfWordsDoesNotDependOnTheThreads() {
        Random random = random(2, 2);
        for (int words : new int[] {0, 1, 7, 8, 1003}) {
            ByteBuffer memory = ByteBuffer.allocateDirect(8 * words);
            long sum = 0;
            for (int i = 0; i < words; i++) {
                long word = random.nextLong();
                memory.order(ByteOrder.nativeOrder()).putLong(8 * i, word);
                sum += word;
            }
            for (int threads = 1; threads <= 3; threads++) {
                Assert.assertEquals(kernels(threads).sumWords(memory), sum, words + " words");
            }
        }
        Kernels k = kernels(1);
        assertRefused(() -> k.sumWords(ByteBuffer.allocate(16)), "direct", "16");
        assertRefused(() -> k.sumWords(ByteBuffer.allocateDirect(12)), "8", "12");
    }

    @Test
    public void clearedMemoryIsZero() {
        for (int bytes : new int[] {0, 1, 4099, (5 << 20) + 3}) {
            ByteBuffer memory = ByteBuffer.allocateDirect(bytes);
            for (int i = 0; i < bytes; i++) {
                memory.put(i, (byte) -1);
            }
            kernels(2).clear(memory.position(bytes / 2));
            Assert.assertEquals(memory.clear(), ByteBuffer.allocate(bytes));
        }
        assertRefused(() -> kernels(1).clear(ByteBuffer.allocate(16)), "direct", "16");
    }

    private void assertProduct(TestMatrix w, Int8Rows x) {
        float[] y = new float[x.rows() * w.rows()];
        w.multiply(kernels(2), x, y);
        byte[] q = new byte[w.columns()];
        for (int row = 0; row < w.rows(); row++) {
            w.decodeRow(row, q);
            for (int t = 0; t < x.rows(); t++) {
                long sum = 0;
                for (int c = 0; c < q.length; c++) {
                    int at = t * q.length + c;
                    sum +=
                            q[c]
                                    * (x.low() == null
                                            ? x.high()[at]
                                            : 256L * x.high()[at] + x.low()[at]);
                }
                float expected = (float) (sum * ((double) w.rowScale(row) * x.scales()[t]));
                if (y[t * w.rows() + row] != expected) {
                    String where = w + ", row " + row + " of " + w.rows() + ", token " + t;
                    Assert.assertEquals(y[t * w.rows() + row], expected, where);
                }
            }
        }
    }

    private static void assertRows(TestMatrix w, int from, int to, FloatBuffer panel) {
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

    /** Any integers, the extremes among them. */
    private static Int8Rows rows(int rows, int columns, int bits, Random random) {
        byte[] high = new byte[rows * columns];
        byte[] low = bits == 8 ? null : new byte[rows * columns];
        random.nextBytes(high);
        if (low != null) {
            random.nextBytes(low);
        }
        float[] scales = new float[rows];
        for (int row = 0; row < rows; row++) {
            scales[row] = (float) Math.exp(10 * random.nextGaussian());
        }
        return new Int8Rows(rows, columns, high, low, scales);
    }

    private static Random random(int rows, int columns) {
        return new Random(SEED + 10_000L * rows + columns);
    }
}
