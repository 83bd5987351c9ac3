package ai.djl.nestquant.checkpoint;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Checks the conversions bit by bit over all 16-bit patterns. */
public class FloatConversionTest {

    private static final int PATTERNS = 1 << 16;

    private static float[] convertAll16(TensorType type) {
        ByteBuffer source = ByteBuffer.allocateDirect(2 * PATTERNS).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < PATTERNS; i++) {
            source.putShort(2 * i, (short) i);
        }
        float[] values = new float[PATTERNS];
        FloatConversion.convert(type, source, FloatBuffer.wrap(values));
        return values;
    }

    @Test
    public void bfloat16IsTheUpperHalfOfAFloat() {
        float[] values = convertAll16(TensorType.BF16);
        for (int i = 0; i < PATTERNS; i++) {
            float expected = Float.intBitsToFloat(i << 16);
            if (Float.isNaN(expected)) {
                Assert.assertTrue(Float.isNaN(values[i]));
            } else {
                Assert.assertEquals(Float.floatToRawIntBits(values[i]), i << 16);
            }
        }
    }

    @Test
    public void float16FollowsItsDefinition() {
        float[] values = convertAll16(TensorType.F16);
        for (int i = 0; i < PATTERNS; i++) {
            int exponent = i >> 10 & 31;
            int fraction = i & 1023;
            double sign = i >> 15 == 0 ? 1 : -1;
            if (exponent == 31 && fraction != 0) {
                Assert.assertTrue(Float.isNaN(values[i]));
                continue;
            }
            double magnitude =
                    exponent == 31
                            ? Double.POSITIVE_INFINITY
                            : exponent == 0
                                    ? fraction * Math.pow(2, -24)
                                    : (1024 + fraction) * Math.pow(2, exponent - 25);
            // the bits also tell -0 from 0
            Assert.assertEquals(
                    Float.floatToRawIntBits(values[i]),
                    Float.floatToRawIntBits((float) (sign * magnitude)));
        }
    }

    @Test
    public void float32AndFloat64KeepTheirValues() {
        double[] cases = {
            0,
            -0.0,
            1,
            -1.5,
            Math.PI,
            Float.MIN_VALUE,
            Float.MIN_NORMAL,
            Float.MAX_VALUE,
            1e300,
            -1e300,
            1e-300,
            Double.NaN,
            Double.POSITIVE_INFINITY,
            Double.NEGATIVE_INFINITY
        };
        ByteBuffer doubles = ByteBuffer.allocate(8 * cases.length).order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer floats = ByteBuffer.allocate(4 * cases.length).order(ByteOrder.LITTLE_ENDIAN);
        float[] expected = new float[cases.length];
        for (int i = 0; i < cases.length; i++) {
            expected[i] = (float) cases[i];
            doubles.putDouble(cases[i]);
            floats.putFloat(expected[i]);
        }
        float[] values = new float[cases.length];
        FloatConversion.convert(TensorType.F64, doubles.flip(), FloatBuffer.wrap(values));
        Assert.assertEquals(values, expected);
        float[] same = new float[cases.length];
        FloatConversion.convert(TensorType.F32, floats.flip(), FloatBuffer.wrap(same));
        Assert.assertEquals(same, expected);
        Assert.assertEquals(Float.floatToRawIntBits(same[1]), 0x8000_0000);
    }

    @Test
    public void lengthsAroundTheChunkAreConvertedWhole() {
        for (int n : new int[] {0, 1, 4095, 4096, 4097, 8192, 12289}) {
            ByteBuffer source = ByteBuffer.allocate(2 * n + 6).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < n; i++) {
                source.putShort(2 * i, (short) (0x3f80 + i % 64));
            }
            float[] values = new float[n + 1];
            FloatConversion.convert(TensorType.BF16, source, FloatBuffer.wrap(values, 0, n));
            for (int i = 0; i < n; i++) {
                Assert.assertEquals(values[i], 1 + i % 64 / 128f);
            }
            Assert.assertEquals(values[n], 0f);
        }
    }
}
