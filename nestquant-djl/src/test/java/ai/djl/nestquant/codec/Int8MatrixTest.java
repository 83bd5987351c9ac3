package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

public class Int8MatrixTest {
    private static final long SEED = 88;

    /** Roundings of the scale and of the product in float, relative to the largest entry. */
    private static final double ROUNDING = 0x1p-22;

    @Test
    public void decodedEntriesAreWithinHalfAScale() {
        Random random = new Random(SEED);
        int rows = 37;
        int columns = 76;
        Int8Matrix matrix = Int8Matrix.allocate(rows, columns);
        byte[] decoded = new byte[columns];
        for (double magnitude : new double[] {1, 1e-35, 1e37}) {
            float[] entries = new float[rows * columns];
            for (int i = 0; i < entries.length; i++) {
                entries[i] = (float) (random.nextGaussian() * magnitude);
            }
            for (int row = 0; row < rows; row++) {
                matrix.encodeRow(row, entries, row * columns);
            }
            for (int row = 0; row < rows; row++) {
                double scale = matrix.rowScale(row);
                double bound = scale * (0.5 + 127 * ROUNDING);
                matrix.decodeRow(row, decoded);
                int largest = 0;
                for (int c = 0; c < columns; c++) {
                    Assert.assertEquals(decoded[c] * scale, entries[row * columns + c], bound);
                    largest = Math.max(largest, Math.abs(decoded[c]));
                }
                Assert.assertEquals(largest, 127);
            }
        }
    }

    @Test
    public void wordHoldsFourColumnsLowestFirst() {
        Int8Matrix matrix = Int8Matrix.allocate(18, 8);
        matrix.encodeRow(17, new float[] {0, 0, 0, 0, 127, -1, 2, -127}, 0);
        Assert.assertEquals(matrix.words().get((1 * 2 + 1) * 16 + 1), 0x8102FF7F);
        Assert.assertEquals(matrix.rowScale(17), 1f);
    }

    @Test
    public void zeroRowsStayZero() {
        Int8Matrix matrix = Int8Matrix.allocate(1, 8);
        matrix.encodeRow(0, new float[] {1, 2, 3, 4, 5, 6, 7, 8}, 0);
        matrix.encodeRow(0, new float[8], 0);
        byte[] decoded = {1, 1, 1, 1, 1, 1, 1, 1};
        matrix.decodeRow(0, decoded);
        Assert.assertEquals(decoded, new byte[8]);
        Assert.assertEquals(matrix.rowScale(0), 0f);
    }

    @Test
    public void sizeIsThatOfTheBuffers() {
        Assert.assertEquals(Int8Matrix.allocate(49, 64).sizeInBytes(), 64 * 64 + 4 * 49);
    }

    @Test
    public void entriesThatAreNotFiniteAreRefusedWithTheirPosition() {
        Int8Matrix matrix = Int8Matrix.allocate(3, 4);
        for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
            float[] entries = {0, 0, 0, 0, 1, 2, bad, 4};
            String message =
                    Assert.expectThrows(
                                    IllegalArgumentException.class,
                                    () -> matrix.encodeRow(2, entries, 4))
                            .getMessage();
            Assert.assertTrue(message.contains("column 2 of row 2 is " + bad), message);
        }
    }

    @Test
    public void sizesAndBuffersThatDoNotFitAreRefused() {
        assertRefused(() -> Int8Matrix.allocate(3, 6), "3 x 6");
        assertRefused(() -> Int8Matrix.allocate(0, 8), "0 x 8");
        assertRefused(() -> Int8Matrix.allocate(300_000, 8192), "split the rows");
        IntBuffer words = direct(32).asIntBuffer();
        FloatBuffer scales = direct(3).asFloatBuffer();
        Assert.assertEquals(new Int8Matrix(3, 8, words, scales).tiles(), 1);
        assertRefused(() -> new Int8Matrix(4, 8, words, scales), "rowScales");
        assertRefused(() -> new Int8Matrix(3, 16, words, scales), "words");
        assertRefused(() -> new Int8Matrix(3, 8, IntBuffer.allocate(32), scales), "words");
    }

    private static ByteBuffer direct(int count) {
        return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder());
    }

    private static void assertRefused(Assert.ThrowingRunnable call, String part) {
        String message = Assert.expectThrows(IllegalArgumentException.class, call).getMessage();
        Assert.assertTrue(message.contains(part), message);
    }
}
