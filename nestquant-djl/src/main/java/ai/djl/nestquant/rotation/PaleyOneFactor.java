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
    public void apply(float[] x, int offset, int run, boolean transposed, Workspace work) {
        int n = core.length * run;
        System.arraycopy(x, offset + run, work.doubled, 0, n);
        System.arraycopy(x, offset + run, work.doubled, n, n);
        float border = transposed ? 1 : -1;
        for (int l = 0; l < run; l++) {
            work.sum[l] = border * x[offset + l];
        }
        for (int i = run; i < n; i += run) {
            System.arraycopy(work.sum, 0, work.sum, i, run);
        }
        for (int i = 0; i < n; i += run) {
            for (int l = 0; l < run; l++) {
                x[offset + l] -= border * work.doubled[i + l];
            }
        }
        Circulant.multiplyAdd(transposed ? coreTransposed : core, 1, work, 0, run);
        System.arraycopy(work.sum, 0, x, offset + run, n);
    }
}
