package ai.djl.nestquant.rotation;

import java.util.Arrays;

/** Products with circulant matrices {@code C[i][j] = taps[(j − i) mod p]}, and their taps. */
final class Circulant {

    private Circulant() {}

    /**
     * Adds {@code sign·(C ⊗ I_run)·x} to y.
     *
     * <p>With x stored twice in a row, every tap is one loop over p·run contiguous entries. Four
     * taps share a loop: one load and one store of y for four loads of x.
     *
     * @param taps p coefficients
     * @param sign 1 or −1
     * @param doubled x twice, 2·p·run entries from doubledOffset on
     * @param y p·run entries from offset on
     */
    static void multiplyAdd(
            float[] taps,
            float sign,
            float[] doubled,
            int doubledOffset,
            float[] y,
            int offset,
            int run) {
        int p = taps.length;
        int n = p * run;
        int d = 0;
        for (; d + 4 <= p; d += 4) {
            int from = doubledOffset + d * run;
            fourTaps(
                    sign * taps[d],
                    sign * taps[d + 1],
                    sign * taps[d + 2],
                    sign * taps[d + 3],
                    doubled,
                    from,
                    from + run,
                    from + 2 * run,
                    from + 3 * run,
                    y,
                    offset,
                    n);
        }
        for (; d < p; d++) {
            oneTap(sign * taps[d], doubled, doubledOffset + d * run, y, offset, n);
        }
    }

    private static void fourTaps(
            float a,
            float b,
            float c,
            float d,
            float[] x,
            int atA,
            int atB,
            int atC,
            int atD,
            float[] y,
            int offset,
            int n) {
        for (int i = 0; i < n; i++) {
            y[offset + i] += a * x[atA + i] + b * x[atB + i] + c * x[atC + i] + d * x[atD + i];
        }
    }

    private static void oneTap(float a, float[] x, int at, float[] y, int offset, int n) {
        for (int i = 0; i < n; i++) {
            y[offset + i] += a * x[at + i];
        }
    }

    /** Returns the taps of the transposed circulant. */
    static float[] transposed(float[] taps) {
        int p = taps.length;
        float[] result = new float[p];
        for (int d = 0; d < p; d++) {
            result[d] = taps[(p - d) % p];
        }
        return result;
    }

    /** Returns the quadratic character of the field of p elements, p an odd prime: 0, 1 or −1. */
    static float[] quadraticCharacter(int p) {
        float[] chi = new float[p];
        Arrays.fill(chi, -1);
        chi[0] = 0;
        for (long i = 1; i < p; i++) {
            chi[(int) (i * i % p)] = 1;
        }
        return chi;
    }
}
