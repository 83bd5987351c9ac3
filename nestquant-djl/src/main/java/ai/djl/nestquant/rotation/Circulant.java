package ai.djl.nestquant.rotation;

import java.util.Arrays;

/** Products with circulant matrices {@code C[i][j] = taps[(j − i) mod p]}, and their taps. */
final class Circulant {

    private Circulant() {}

    /**
     * Adds {@code sign·(C ⊗ I_run)·x} to the workspace's sum.
     *
     * <p>With x stored twice in a row, every tap is one loop over a window of p·run contiguous
     * entries. HotSpot vectorises such a loop only when all its arrays share one index, so the
     * windows of four taps are copied to arrays of their own first; that is three times as fast as
     * reading them in place.
     *
     * @param taps p coefficients
     * @param sign 1 or −1
     * @param from where x begins, twice, in the workspace's doubled array
     * @param run the entries that share a coordinate of C
     */
    static void multiplyAdd(float[] taps, float sign, Workspace work, int from, int run) {
        int p = taps.length;
        int n = p * run;
        float[][] windows = work.windows;
        int d = 0;
        for (; d + 4 <= p; d += 4) {
            for (int k = 0; k < 4; k++) {
                System.arraycopy(work.doubled, from + (d + k) * run, windows[k], 0, n);
            }
            float a = sign * taps[d];
            float b = sign * taps[d + 1];
            float c = sign * taps[d + 2];
            float e = sign * taps[d + 3];
            fourTaps(a, b, c, e, windows[0], windows[1], windows[2], windows[3], work.sum, n);
        }
        for (; d < p; d++) {
            System.arraycopy(work.doubled, from + d * run, windows[0], 0, n);
            oneTap(sign * taps[d], windows[0], work.sum, n);
        }
    }

    private static void fourTaps(
            float a,
            float b,
            float c,
            float d,
            float[] x0,
            float[] x1,
            float[] x2,
            float[] x3,
            float[] sum,
            int n) {
        for (int i = 0; i < n; i++) {
            sum[i] += a * x0[i] + b * x1[i] + c * x2[i] + d * x3[i];
        }
    }

    private static void oneTap(float a, float[] x, float[] sum, int n) {
        for (int i = 0; i < n; i++) {
            sum[i] += a * x[i];
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
