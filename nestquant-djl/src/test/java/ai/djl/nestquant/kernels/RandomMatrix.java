package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.ByteBuffer;
import java.util.Random;

/** Packed matrices of random words: every leader, most of them nothing a model has. */
final class RandomMatrix {
    private RandomMatrix() {}

    /** Returns a packed matrix as {@link #packed} does, or int8 rows where the code is null. */
    static CodedMatrix of(PackedCode code, int rows, int columns, Random random) {
        return code == null ? int8(rows, columns, random) : packed(code, rows, columns, random);
    }

    private static Int8Matrix int8(int rows, int columns, Random random) {
        Int8Matrix w = Int8Matrix.allocate(rows, columns);
        float[] row = new float[columns];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                row[c] = (float) random.nextGaussian() * (r + 1);
            }
            w.encodeRow(r, row, 0);
        }
        return w;
    }

    /** Returns a matrix with many ties and zero words among its words. */
    static PackedMatrix packed(PackedCode code, int rows, int columns, Random random) {
        PackedMatrix w = PackedMatrix.allocate(code, rows, columns, 0.01f + random.nextFloat());
        ByteBuffer scales = w.rowScales();
        int[] point = new int[8];
        int[] y = new int[8];
        for (int row = 0; row < rows; row++) {
            scales.put(row, (byte) random.nextInt());
            for (int block = 0; block < w.blocks(); block++) {
                int word = word(random);
                code.leader(code.width() == 4 ? word : word & 0x77777777, 0, point);
                code.cosets().leaderOf(point, y);
                w.put(row, block, y, index(code, y, random));
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

    /** A random step that keeps the block within int8. */
    private static int index(PackedCode code, int[] y, Random random) {
        int index = random.nextInt(code.ladder().size());
        for (int coordinate : y) {
            if (Math.abs(coordinate * code.ladder().step(index)) > Byte.MAX_VALUE) {
                return 0;
            }
        }
        return index;
    }
}
