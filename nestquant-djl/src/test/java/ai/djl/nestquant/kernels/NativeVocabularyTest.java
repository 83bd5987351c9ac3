package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Factory;
import org.testng.annotations.Test;

/**
 * Embedding, and final norm and head, in one call, by the parts of the portable kernels, at every
 * level.
 */
@Test
public class NativeVocabularyTest {
    private static final long SEED = 20;
    private static final float EPSILON = 1e-5f;

    /**
     * Float sums of a dense factor in another order move entries by 1e-7; a few of 576 are rounded
     * to the other side then, by 1/32639 of the largest, which is three to four times as large as
     * the others: with 8 bits or fewer that is so rare that no entry here is.
     */
    private static final double DENSE_FACTOR = 2e-5;

    /** The same without rounding. */
    private static final double FLOAT_SUMS = 1e-6;

    private final String level;
    private NativeKernels kernels;

    /** Makes the test of one level. */
    @Factory(dataProvider = "levels", dataProviderClass = NativeKernelsTest.class)
    public NativeVocabularyTest(String level) {
        this.level = level;
    }

    private NativeKernels kernels() {
        if (kernels == null) {
            try {
                kernels = new NativeKernels(level, 2);
            } catch (IllegalStateException e) {
                throw new SkipException(e.getMessage(), e);
            }
        }
        return kernels;
    }

    /** Stops the workers. */
    @AfterClass(alwaysRun = true)
    public void stop() {
        if (kernels != null) {
            kernels.close();
        }
    }

    /** Codes (null for int8), bits of activations, rows and rotations. */
    @DataProvider
    public Object[][] heads() {
        List<Object[]> heads = new ArrayList<>();
        List<PackedCode> codes = new ArrayList<>(Arrays.asList(PackedCode.values()));
        codes.add(null);
        for (PackedCode code : codes) {
            for (int bits : new int[] {4, 8, 16}) {
                heads.add(new Object[] {code, bits, 1, Rotation.of(8, 1)});
                heads.add(new Object[] {code, bits, 17, Rotation.none(37)});
                heads.add(new Object[] {code, bits, 200, Rotation.of(256, 3)});
                heads.add(new Object[] {code, bits, 90, Rotation.of(49, 2)});
                heads.add(new Object[] {code, bits, 64, Rotation.of(576, 1)});
            }
        }
        return heads.toArray(new Object[0][]);
    }

    @Test(dataProvider = "heads")
    public void logitsAreThoseOfTheParts(PackedCode code, int bits, int rows, Rotation rotation) {
        Random random = new Random(SEED + rows);
        CodedMatrix w = RandomMatrix.of(code, rows, rotation.paddedLength(), random);
        FloatBuffer norm = gaussian(rotation.length(), random);
        FloatBuffer h = gaussian(rotation.length(), random);
        float[] expected = portable(w, rotation, bits, norm, h);
        FloatBuffer logits = direct(rows + 5).position(3);
        HeadSpec spec = new HeadSpec(norm, EPSILON, rotation, bits, w);
        try (HeadKernel head = kernels().head(spec)) {
            head.run(h, logits);
        }
        Assert.assertEquals(logits.position(), 3);
        float[] actual = floats(logits.slice(3, rows));
        assertLike(actual, expected, rotation, DENSE_FACTOR);
        for (int beside : new int[] {0, 1, 2, rows + 3, rows + 4}) {
            Assert.assertEquals(logits.get(beside), 0f);
        }
    }

    @Test(dataProvider = "heads")
    public void embeddingsAreDecodedRowsRotatedBack(
            PackedCode code, int bits, int rows, Rotation rotation) {
        Random random = new Random(SEED + rows);
        CodedMatrix w = RandomMatrix.of(code, rows, rotation.paddedLength(), random);
        long[] ids = {rows - 1, 0, rows / 2, rows / 2};
        int hidden = rotation.length();
        FloatBuffer out = direct(ids.length * hidden);
        try (EmbeddingKernel embedding = kernels().embedding(w, rotation)) {
            embedding.embed(ids, out);
            for (long bad : new long[] {-1, rows, 1L << 32}) {
                Assert.assertThrows(
                        IllegalArgumentException.class,
                        () -> embedding.embed(new long[] {0, bad}, out));
            }
            Assert.assertThrows(
                    IllegalArgumentException.class, () -> embedding.embed(new long[5], out));
        }
        for (int i = 0; i < ids.length; i++) {
            float[] row = new float[rotation.paddedLength()];
            new PortableKernels(1).decodeRows(w, (int) ids[i], (int) ids[i] + 1, row);
            rotation.applyInverse(row, 0);
            float[] expected = Arrays.copyOf(row, hidden);
            assertLike(floats(out.slice(i * hidden, hidden)), expected, rotation, FLOAT_SUMS);
        }
    }

    /** To the bit, or within a bound of the norm where the rotation has a dense factor. */
    private static void assertLike(
            float[] actual, float[] expected, Rotation rotation, double bound) {
        if (rotation.order() == 1) {
            Assert.assertEquals(actual, expected);
            return;
        }
        double error = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            error += Math.pow(actual[i] - expected[i], 2);
            size += Math.pow(expected[i], 2);
        }
        Assert.assertTrue(error <= bound * bound * size, error + " of " + size);
    }

    @Test
    public void callOfLayersEndsWithTheLastToken() {
        Random random = new Random(SEED);
        Rotation rotation = Rotation.of(64, 1);
        CodedMatrix w = RandomMatrix.of(null, 100, 64, random);
        HeadSpec spec = new HeadSpec(gaussian(64, random), EPSILON, rotation, 8, w);
        FloatBuffer h = gaussian(3 * 64, random);
        LayerKernel.Tokens pass = new LayerKernel.Tokens(h, 3, 0, direct(1), direct(1));
        FloatBuffer alone = direct(100);
        FloatBuffer together = direct(100);
        FloatBuffer byDefault = direct(100);
        try (HeadKernel head = kernels().head(spec)) {
            head.run(h.slice(2 * 64, 64), alone);
            kernels().run(List.of(), pass, List.of(), head, together);
            new PortableKernels(1).run(List.of(), pass, List.of(), head, byDefault);
        }
        Assert.assertEquals(floats(together), floats(alone));
        Assert.assertEquals(floats(byDefault), floats(alone));
    }

    @Test
    public void whatDoesNotFitIsRefused() {
        Random random = new Random(SEED);
        CodedMatrix w = RandomMatrix.of(PackedCode.D8_16, 40, 64, random);
        FloatBuffer norm = gaussian(64, random);
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> kernels().head(new HeadSpec(norm, EPSILON, Rotation.of(72, 1), 8, w)));
        FloatBuffer shorter = gaussian(63, random);
        Rotation rotation = Rotation.of(64, 1);
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> kernels().head(new HeadSpec(shorter, EPSILON, rotation, 8, w)));
        HeadKernel head = kernels().head(new HeadSpec(norm, EPSILON, rotation, 8, w));
        FloatBuffer h = gaussian(64, random);
        FloatBuffer logits = direct(40);
        List<Runnable> calls =
                List.of(
                        () -> head.run(shorter, logits),
                        () -> head.run(h, direct(39)),
                        () -> head.run(h, FloatBuffer.allocate(40)),
                        () -> kernels().run(List.of(), tokens(h, 2), List.of(), head, logits));
        for (Runnable call : calls) {
            Assert.assertThrows(IllegalArgumentException.class, call::run);
        }
        head.close();
        head.close();
        Assert.assertThrows(IllegalStateException.class, () -> head.run(h, logits));
    }

    @Test
    public void inputsThatAreNoNumbersAreRefused() {
        Random random = new Random(SEED);
        Rotation rotation = Rotation.of(72, 1);
        CodedMatrix w = RandomMatrix.of(PackedCode.E8_16, 40, rotation.paddedLength(), random);
        for (int bits : new int[] {4, 8, 16}) {
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                for (int at : new int[] {0, 33, 71}) {
                    FloatBuffer norm = gaussian(72, random).put(at, bad);
                    FloatBuffer h = gaussian(72, random);
                    HeadSpec spec = new HeadSpec(norm, EPSILON, rotation, bits, w);
                    try (HeadKernel head = kernels().head(spec)) {
                        Assert.expectThrows(
                                IllegalArgumentException.class, () -> head.run(h, direct(40)));
                    }
                }
            }
        }
    }

    private static LayerKernel.Tokens tokens(FloatBuffer h, int count) {
        return new LayerKernel.Tokens(h, count, 0, direct(1), direct(1));
    }

    /** The same in Java, part by part. */
    private static float[] portable(
            CodedMatrix w, Rotation rotation, int bits, FloatBuffer norm, FloatBuffer h) {
        float[] x = floats(h);
        float factor = (float) (1 / Math.sqrt(squaredNorm(x) / x.length + EPSILON));
        for (int i = 0; i < x.length; i++) {
            x[i] = x[i] * factor * norm.get(i);
        }
        float[] rotated = rotation.padAndApply(x, 1);
        PortableKernels portable = new PortableKernels(1);
        Int8Rows coded =
                bits == 4
                        ? portable.encodeIntegers(PackedCode.E8_16, rotated, 1)
                        : Int8Rows.round(rotated, 1, bits);
        float[] y = new float[w.rows()];
        portable.multiply(w, coded, y);
        return y;
    }

    /** Sixteen sums, then halves, then the rest: the order of floats.h. */
    private static float squaredNorm(float[] x) {
        float[] sums = new float[16];
        int whole = x.length / 16 * 16;
        for (int i = 0; i < whole; i++) {
            sums[i % 16] += x[i] * x[i];
        }
        for (int half = 8; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                sums[i] += sums[i + half];
            }
        }
        float rest = 0;
        for (int i = whole; i < x.length; i++) {
            rest += x[i] * x[i];
        }
        return sums[0] + rest;
    }

    private static FloatBuffer gaussian(int count, Random random) {
        FloatBuffer floats = direct(count);
        for (int i = 0; i < count; i++) {
            floats.put(i, (float) random.nextGaussian());
        }
        return floats;
    }

    private static FloatBuffer direct(int count) {
        return ByteBuffer.allocateDirect(Float.BYTES * count)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    private static float[] floats(FloatBuffer buffer) {
        float[] floats = new float[buffer.remaining()];
        buffer.duplicate().get(floats);
        return floats;
    }
}
