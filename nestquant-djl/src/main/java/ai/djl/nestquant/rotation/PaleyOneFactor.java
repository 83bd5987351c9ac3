package ai.djl.nestquant.rotation;

/**
 * Paley's first Hadamard matrix, order m = p + 1 for a prime p ≡ 3 (mod 4).
 *
 * <pre>
 *   H = |  1   1ᵀ   |     Q[i][j] = χ(j − i), χ the quadratic character mod p
 *       | −1  Q + I |
 * </pre>
 */
final class PaleyOneFactor implements OrthogonalFactor {

    private final float[] core;
    private final float[] coreTransposed;

    PaleyOneFactor(int order) {
        core = Circulant.quadraticCharacter(order - 1);
        core[0] = 1;
        coreTransposed = Circulant.transposed(core);
    }

    @Override
    public int order() {
        return core.length + 1;
    }

    @Override
    public String construction() {
        return "Paley I";
    }

    @Override
    public void apply(float[] x, int offset, int run, boolean transposed, float[] scratch) {
        int n = core.length * run;
        int coreOffset = offset + run;
        System.arraycopy(x, coreOffset, scratch, 0, n);
        System.arraycopy(x, coreOffset, scratch, n, n);
        float border = transposed ? 1 : -1;
        for (int i = 0; i < n; i += run) {
            for (int l = 0; l < run; l++) {
                x[coreOffset + i + l] = border * x[offset + l];
            }
        }
        for (int i = 0; i < n; i += run) {
            for (int l = 0; l < run; l++) {
                x[offset + l] -= border * scratch[i + l];
            }
        }
        float[] taps = transposed ? coreTransposed : core;
        Circulant.multiplyAdd(taps, 1, scratch, 0, x, coreOffset, run);
    }
}
