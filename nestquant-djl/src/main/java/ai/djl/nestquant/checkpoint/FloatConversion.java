package ai.djl.nestquant.checkpoint;

import java.nio.ByteBuffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/**
 * Converts stored floating-point elements to {@code float}, in bulk.
 *
 * <p>F32, F16 and BF16 are exact, subnormals, infinities and NaN included; F64 is rounded to the
 * nearest float. Thread-safe (stateless).
 */
final class FloatConversion {

    /** Elements per chunk; the two chunk arrays stay in the first- and second-level cache. */
    private static final int CHUNK = 4096;

    private FloatConversion() {}

    /**
     * Fills {@code out} from the elements at the position of {@code source}.
     *
     * @param type a floating type
     * @param source little-endian elements, at least {@code out.remaining()} of them
     * @param out receives the values; its position moves to its limit
     */
    static void convert(TensorType type, ByteBuffer source, FloatBuffer out) {
        switch (type) {
            case F32:
                FloatBuffer floats = source.asFloatBuffer();
                floats.limit(out.remaining());
                out.put(floats);
                break;
            case BF16:
                convertBfloat16(source.asShortBuffer(), out);
                break;
            case F16:
                convertFloat16(source.asShortBuffer(), out);
                break;
            case F64:
                convertFloat64(source.asDoubleBuffer(), out);
                break;
            default:
                throw new IllegalArgumentException(type + " is not a floating type");
        }
    }

    private static void convertBfloat16(ShortBuffer source, FloatBuffer out) {
        short[] in = new short[Math.min(CHUNK, out.remaining())];
        float[] values = new float[in.length];
        while (out.hasRemaining()) {
            int n = Math.min(in.length, out.remaining());
            source.get(in, 0, n);
            for (int i = 0; i < n; i++) {
                values[i] = Float.intBitsToFloat(in[i] << 16);
            }
            out.put(values, 0, n);
        }
    }

    private static void convertFloat16(ShortBuffer source, FloatBuffer out) {
        short[] in = new short[Math.min(CHUNK, out.remaining())];
        float[] values = new float[in.length];
        while (out.hasRemaining()) {
            int n = Math.min(in.length, out.remaining());
            source.get(in, 0, n);
            for (int i = 0; i < n; i++) {
                values[i] = float16ToFloat(in[i]);
            }
            out.put(values, 0, n);
        }
    }

    private static void convertFloat64(DoubleBuffer source, FloatBuffer out) {
        double[] in = new double[Math.min(CHUNK, out.remaining())];
        float[] values = new float[in.length];
        while (out.hasRemaining()) {
            int n = Math.min(in.length, out.remaining());
            source.get(in, 0, n);
            for (int i = 0; i < n; i++) {
                values[i] = (float) in[i];
            }
            out.put(values, 0, n);
        }
    }

    /** Converts one binary16: 1 sign, 5 exponent (bias 15) and 10 fraction bits. */
    static float float16ToFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int magnitude = half & 0x7fff;
        int bits;
        if (magnitude >= 0x7c00) { // infinity or NaN: all exponent bits set
            bits = 0x7f80_0000 | (magnitude & 0x3ff) << 13;
        } else if (magnitude < 0x400) { // zero or subnormal: fraction · 2^-24
            bits = Float.floatToRawIntBits(magnitude * 0x1p-24f);
        } else { // rebias the exponent from 15 to 127
            bits = (magnitude << 13) + (112 << 23);
        }
        return Float.intBitsToFloat(sign | bits);
    }
}
