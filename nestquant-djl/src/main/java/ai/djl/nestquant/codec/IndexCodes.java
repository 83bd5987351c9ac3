package ai.djl.nestquant.codec;

import java.util.Arrays;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/**
 * Scale indices as bytes: packed to 1, 2, 4 or 8 bits each from the low bits up, then entropy coded
 * with the Huffman codes of zlib (RFC 1950), because scales are chosen unevenly.
 *
 * <p>All methods are static and thread-safe.
 */
final class IndexCodes {
    private IndexCodes() {}

    /** Returns the bits of an index below {@code size}: 1, 2, 4 or 8, to fill bytes evenly. */
    static int width(int size) {
        return size <= 2 ? 1 : size <= 4 ? 2 : size <= 16 ? 4 : 8;
    }

    static byte[] encode(int[] indices, int size) {
        int width = width(size);
        int perByte = 8 / width;
        byte[] packed = new byte[(indices.length + perByte - 1) / perByte];
        for (int i = 0; i < indices.length; i++) {
            packed[i / perByte] |= (byte) (indices[i] << i % perByte * width);
        }
        Deflater deflater = new Deflater(Deflater.BEST_COMPRESSION);
        try {
            deflater.setStrategy(Deflater.HUFFMAN_ONLY);
            deflater.setInput(packed);
            deflater.finish();
            byte[] out = new byte[packed.length + packed.length / 8 + 64];
            int length = 0;
            while (!deflater.finished()) {
                length += deflater.deflate(out, length, out.length - length);
            }
            return Arrays.copyOf(out, length);
        } finally {
            deflater.end();
        }
    }

    /**
     * Inverts {@link #encode}.
     *
     * @throws IllegalArgumentException if the bytes are corrupt, naming what is wrong
     */
    static int[] decode(byte[] encoded, int count, int size) {
        int width = width(size);
        int perByte = 8 / width;
        byte[] packed = inflate(encoded, (count + perByte - 1) / perByte);
        int[] indices = new int[count];
        for (int i = 0; i < count; i++) {
            indices[i] = packed[i / perByte] >> i % perByte * width & (1 << width) - 1;
            if (indices[i] >= size) {
                throw new IllegalArgumentException(
                        "corrupt scale indices: number " + i + " is " + indices[i] + " of " + size);
            }
        }
        return indices;
    }

    private static byte[] inflate(byte[] encoded, int length) {
        byte[] packed = new byte[length];
        Inflater inflater = new Inflater();
        try {
            inflater.setInput(encoded);
            int count = inflater.inflate(packed);
            boolean more = inflater.inflate(new byte[1]) > 0;
            if (count != length || more || !inflater.finished()) {
                throw new IllegalArgumentException(
                        "corrupt scale indices: they do not hold exactly " + length + " bytes");
            }
            return packed;
        } catch (DataFormatException e) {
            throw new IllegalArgumentException("corrupt scale indices: " + e.getMessage(), e);
        } finally {
            inflater.end();
        }
    }
}
