package ai.djl.nestquant.rotation;

/** The fast Walsh-Hadamard transform: {@code x ← (I ⊗ H_{2^a})·x} in natural (Sylvester) order. */
final class WalshHadamard {

    private WalshHadamard() {}

    /**
     * Transforms every group of 2^a neighbouring entries in place, without normalisation.
     *
     * @param x n entries from offset on
     * @param n a multiple of 2^a
     * @param a the exponent
     */
    static void apply(float[] x, int offset, int n, int a) {
        int done = 0;
        if (a >= 3) {
            eightPoint(x, offset, n);
            done = 3;
        }
        for (; done + 2 <= a; done += 2) {
            twoLevels(x, offset, n, 1 << done);
        }
        if (done < a) {
            oneLevel(x, offset, n, 1 << done);
        }
    }

    private static void oneLevel(float[] x, int offset, int n, int h) {
        for (int b = offset; b < offset + n; b += 2 * h) {
            for (int l = b; l < b + h; l++) {
                float u = x[l];
                float v = x[l + h];
                x[l] = u + v;
                x[l + h] = u - v;
            }
        }
    }

    private static void twoLevels(float[] x, int offset, int n, int h) {
        for (int b = offset; b < offset + n; b += 4 * h) {
            for (int l = b; l < b + h; l++) {
                float u = x[l] + x[l + h];
                float v = x[l] - x[l + h];
                float s = x[l + 2 * h] + x[l + 3 * h];
                float t = x[l + 2 * h] - x[l + 3 * h];
                x[l] = u + s;
                x[l + h] = v + t;
                x[l + 2 * h] = u - s;
                x[l + 3 * h] = v - t;
            }
        }
    }

    /** Strides 1, 2 and 4 at once: three levels for one round of loads and stores. */
    private static void eightPoint(float[] x, int offset, int n) {
        for (int i = offset; i < offset + n; i += 8) {
            float a0 = x[i] + x[i + 1];
            float a1 = x[i] - x[i + 1];
            float a2 = x[i + 2] + x[i + 3];
            float a3 = x[i + 2] - x[i + 3];
            float a4 = x[i + 4] + x[i + 5];
            float a5 = x[i + 4] - x[i + 5];
            float a6 = x[i + 6] + x[i + 7];
            float a7 = x[i + 6] - x[i + 7];
            float b0 = a0 + a2;
            float b1 = a1 + a3;
            float b2 = a0 - a2;
            float b3 = a1 - a3;
            float b4 = a4 + a6;
            float b5 = a5 + a7;
            float b6 = a4 - a6;
            float b7 = a5 - a7;
            x[i] = b0 + b4;
            x[i + 1] = b1 + b5;
            x[i + 2] = b2 + b6;
            x[i + 3] = b3 + b7;
            x[i + 4] = b0 - b4;
            x[i + 5] = b1 - b5;
            x[i + 6] = b2 - b6;
            x[i + 7] = b3 - b7;
        }
    }
}
