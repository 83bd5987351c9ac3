package ai.djl.nestquant.rotation;

import java.util.Arrays;

/**
 * Williamson's Hadamard matrix of order m = 4p from four symmetric circulants with {@code A² + B² +
 * C² + D² = 4p·I}.
 *
 * <pre>
 *   H = |  A  B  C  D |
 *       | −B  A −D  C |
 *       | −C  D  A −B |
 *       | −D −C  B  A |
 * </pre>
 *
 * <p>It serves the orders 92, 116 and 172, which no Paley matrix over a prime field has. The
 * circulants come from an exhaustive search over ±1 sequences that are constant on the classes of a
 * multiplicative subgroup mod p; a test checks the identity.
 */
final class WilliamsonFactor implements OrthogonalFactor {

    /** {p, subgroup generator, A, B, C, D}; bit i of a mask makes class i negative. */
    private static final int[][] KNOWN = {
        {23, 22, 339, 412, 43, 1819},
        {29, 28, 1723, 2833, 755, 12454},
        {43, 7, 26, 35, 21, 83},
    };

    private static final int[][] BLOCK = {{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}};
    private static final int[][] SIGN = {
        {1, 1, 1, 1}, {-1, 1, -1, 1}, {-1, 1, 1, -1}, {-1, -1, 1, 1}
    };

    private final int p;
    private final float[][] circulants = new float[4][];

    WilliamsonFactor(int order) {
        int[] row = find(order);
        p = row[0];
        for (int k = 0; k < 4; k++) {
            circulants[k] = classSequence(p, row[1], row[2 + k]);
        }
    }

    static boolean exists(int order) {
        return find(order) != null;
    }

    private static int[] find(int order) {
        for (int[] row : KNOWN) {
            if (4 * row[0] == order) {
                return row;
            }
        }
        return null;
    }

    /** Classes g·subgroup are numbered by their smallest member. */
    private static float[] classSequence(int p, int generator, int negative) {
        float[] sequence = new float[p];
        sequence[0] = 1;
        int index = 0;
        for (int g = 1; g < p; g++) {
            if (sequence[g] == 0) {
                float value = (negative >> index & 1) == 0 ? 1 : -1;
                for (int e = g; sequence[e] == 0; e = e * generator % p) {
                    sequence[e] = value;
                }
                index++;
            }
        }
        return sequence;
    }

    @Override
    public int order() {
        return 4 * p;
    }

    @Override
    public String construction() {
        return "Williamson";
    }

    @Override
    public void apply(float[] x, int offset, int run, boolean transposed, Workspace work) {
        int n = p * run;
        for (int k = 0; k < 4; k++) {
            System.arraycopy(x, offset + k * n, work.doubled, 2 * k * n, n);
            System.arraycopy(x, offset + k * n, work.doubled, (2 * k + 1) * n, n);
        }
        for (int i = 0; i < 4; i++) {
            Arrays.fill(work.sum, 0, n, 0f);
            for (int j = 0; j < 4; j++) {
                // the circulants are symmetric, so only the block signs know about transposition
                int sign = transposed ? SIGN[j][i] : SIGN[i][j];
                Circulant.multiplyAdd(circulants[BLOCK[i][j]], sign, work, 2 * j * n, run);
            }
            System.arraycopy(work.sum, 0, x, offset + i * n, n);
        }
    }
}
