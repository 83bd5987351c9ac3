package ai.djl.nestquant.rotation;

/**
 * Paley's second Hadamard matrix, order m = 2(p + 1) for a prime p ≡ 1 (mod 4); it is symmetric.
 *
 * <pre>
 *   H = S ⊗ | 1  1 | + I ⊗ |  1 −1 |     S = | 0  1ᵀ |    Q[i][j] = χ(j − i)
 *           | 1 −1 |       | −1 −1 |         | 1  Q  |
 * </pre>
 *
 * <p>With {@code z = (I ⊗ [1 1; 1 −1])·x} this is {@code (S ⊗ I)·z + (I ⊗ [0 1; −1 0])·z}, half as
 * many taps as the order says.
 */
final class PaleyTwoFactor implements OrthogonalFactor {

    private final float[] core;

    PaleyTwoFactor(int order) {
        core = Circulant.quadraticCharacter(order / 2 - 1);
    }

    @Override
    public int order() {
        return 2 * (core.length + 1);
    }

    @Override
    public String construction() {
        return "Paley II";
    }

    @Override
    public void apply(float[] x, int offset, int run, boolean transposed, Workspace work) {
        int pair = 2 * run;
        int n = core.length * pair;
        float[] z = work.doubled; // of the border, then of the core twice
        for (int i = 0; i < n + pair; i += pair) {
            for (int l = 0; l < run; l++) {
                float u = x[offset + i + l];
                float v = x[offset + i + run + l];
                z[i + l] = u + v;
                z[i + run + l] = u - v;
            }
        }
        System.arraycopy(z, pair, z, pair + n, n);
        addRotatedPairs(z, work.sum, n, pair);
        Circulant.multiplyAdd(core, 1, work, pair, pair);
        System.arraycopy(work.sum, 0, x, offset + pair, n);
        System.arraycopy(z, run, x, offset, run);
        for (int l = 0; l < run; l++) {
            x[offset + run + l] = -z[l];
        }
        for (int i = pair; i < n + pair; i += pair) {
            for (int l = 0; l < pair; l++) {
                x[offset + l] += z[i + l];
            }
        }
    }

    /** Starts the core's sum with {@code [0 1; −1 0]·z} and the border's z. */
    private static void addRotatedPairs(float[] z, float[] sum, int n, int pair) {
        int run = pair / 2;
        for (int i = 0; i < n; i += pair) {
            for (int l = 0; l < run; l++) {
                sum[i + l] = z[l] + z[pair + i + run + l];
                sum[i + run + l] = z[run + l] - z[pair + i + l];
            }
        }
    }
}
