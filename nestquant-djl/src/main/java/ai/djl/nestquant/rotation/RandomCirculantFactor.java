package ai.djl.nestquant.rotation;

import java.util.Arrays;

/**
 * A random orthonormal circulant of odd order p, for row lengths that no known Hadamard matrix
 * divides.
 *
 * <p>A circulant is orthogonal when all its eigenvalues have modulus 1: {@code taps[d] = (s + 2·Σ_f
 * cos(2π·f·d/p + θ_f)) / p}, f = 1 … (p − 1)/2, with a random sign s and random phases θ_f. It
 * takes p numbers where a general orthogonal matrix takes p².
 */
final class RandomCirculantFactor implements OrthogonalFactor {

    private final float[] taps;
    private final float[] tapsTransposed;

    /** Draws s from the generator's next top bit (set means −1), then the phases in order of f. */
    RandomCirculantFactor(int p, SplitMix64 random) {
        double[] sum = new double[p];
        Arrays.fill(sum, random.next() < 0 ? -1 : 1);
        for (int f = 1; f <= p / 2; f++) {
            double phase = 2 * Math.PI * random.nextUnit();
            for (int d = 0; d < p; d++) {
                double turn = (double) ((long) f * d % p) / p;
                sum[d] += 2 * StrictMath.cos(2 * Math.PI * turn + phase);
            }
        }
        taps = new float[p];
        for (int d = 0; d < p; d++) {
            taps[d] = (float) (sum[d] / p);
        }
        tapsTransposed = Circulant.transposed(taps);
    }

    @Override
    public int order() {
        return taps.length;
    }

    @Override
    public String construction() {
        return "random circulant";
    }

    @Override
    public void apply(float[] x, int offset, int run, boolean transposed, Workspace work) {
        int n = taps.length * run;
        System.arraycopy(x, offset, work.doubled, 0, n);
        System.arraycopy(x, offset, work.doubled, n, n);
        Arrays.fill(work.sum, 0, n, 0f);
        Circulant.multiplyAdd(transposed ? tapsTransposed : taps, 1, work, 0, run);
        System.arraycopy(work.sum, 0, x, offset, n);
    }
}
