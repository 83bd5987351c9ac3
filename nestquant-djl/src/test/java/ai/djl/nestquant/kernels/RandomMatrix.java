package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.Random;

/** Packed matrices of random words: every word is a coset, most of them nothing a model has. */
final class RandomMatrix {
    private RandomMatrix() {}

    /** Returns a matrix with many ties and zero words among its words. */
    static PackedMatrix of(int rows, int columns, Random random) {
        PackedMatrix w = PackedMatrix.allocate(rows, columns, 0.01f + random.nextFloat());
        IntBuffer words = w.words();
        IntBuffer betas = w.betas();
        ByteBuffer scales = w.rowScales();
        byte[] decoded = new byte[columns];
        for (int row = 0; row < rows; row++) {
            scales.put(row, (byte) random.nextInt());
            for (int block = 0; block < w.blocks(); block++) {
                words.put(w.wordIndex(row, block), word(random));
            }
            w.decodeRow(row, decoded);
            for (int block = 0; block < w.blocks(); block++) {
                int index = random.nextInt(4);
                if (fits(decoded, block, index)) {
                    int at = w.betaIndex(row / PackedMatrix.TILE_ROWS, block);
                    int shift = 2 * (row % PackedMatrix.TILE_ROWS);
                    betas.put(at, betas.get(at) | index << shift);
                }
            }
        }
        return w;
    }

    /** Few distinct sizes make ties; half scales stand in for p = 1. */
    private static int word(Random random) {
        switch (random.nextInt(8)) {
            case 0:
                return 0;
            case 1:
                return random.nextInt() & 0x88888888;
            case 2:
                return 0x44444444 ^ random.nextInt() & 0x88888888;
            case 3:
                return random.nextInt() & 0x99999999;
            case 4:
                return random.nextInt() & random.nextInt() & random.nextInt();
            default:
                return random.nextInt();
        }
    }

    /** Whether the step keeps a block, decoded with the first step, within int8. */
    private static boolean fits(byte[] decoded, int block, int index) {
        for (int i = 8 * block; i < 8 * block + 8; i++) {
            int y = decoded[i] / PackedMatrix.LADDER.step(0);
            if (Math.abs(y * PackedMatrix.LADDER.step(index)) > Byte.MAX_VALUE) {
                return false;
            }
        }
        return true;
    }
}
