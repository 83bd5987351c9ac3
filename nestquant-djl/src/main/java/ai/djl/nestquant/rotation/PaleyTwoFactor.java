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
    public void apply(float[] x, int offset, int run, boolean transposed, float[] scratch) {
        int pair = 2 * run;
        int n = core.length * pair;
        // scratch: z of the border, then z of the core twice
        for (int i = 0; i < n + pair; i += pair) {
            for (int l = 0; l < run; l++) {
                float u = x[offset + i + l];
                float v = x[offset + i + run + l];
                float sum = u + v;
                float difference = u - v;
                scratch[i + l] = sum;
                scratch[i + run + l] = difference;
                x[offset + i + l] = difference;
                x[offset + i + run + l] = -sum;
            }
        }
        System.arraycopy(scratch, pair, scratch, pair + n, n);
        for (int i = pair; i < n + pair; i += pair) {
            for (int l = 0; l < pair; l++) {
                x[offset + l] += scratch[i + l];
                x[offset + i + l] += scratch[l];
            }
        }
        Circulant.multiplyAdd(core, 1, scratch, pair, x, offset + pair, pair);
    }
}
