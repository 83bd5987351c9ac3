package ai.djl.nestquant.rotation;

import org.testng.Assert;
import org.testng.annotations.Test;

/** {@link Rotation} against its formula, written down entry by entry. */
public class DenseRotationTest {
    /** One product of three numbers per entry, rounded to float. */
    private static final float ROUNDING = 1e-6f;

    private static final long SEED = -3;

    @Test
    public void powersOfTwoAreSylvester() {
        check(64, new int[][] {{1}}, 6);
    }

    @Test
    public void paleyOneOfOrder44() {
        int[][] h = new int[44][44];
        for (int i = 0; i < 44; i++) {
            for (int j = 0; j < 44; j++) {
                int skew = i == 0 ? 1 : j == 0 ? -1 : character(j - i, 43);
                h[i][j] = i == j ? 1 : skew;
            }
        }
        check(172, h, 2);
    }

    @Test
    public void paleyTwoOfOrder36() {
        int[][] h = new int[36][36];
        int[][] plus = {{1, 1}, {1, -1}};
        int[][] diagonal = {{1, -1}, {-1, -1}};
        for (int i = 0; i < 36; i++) {
            for (int j = 0; j < 36; j++) {
                int a = i / 2;
                int b = j / 2;
                int[][] block = a == b ? diagonal : plus;
                int sign = a == b || a == 0 || b == 0 ? 1 : character(b - a, 17);
                h[i][j] = sign * block[i % 2][j % 2];
            }
        }
        check(576, h, 4);
    }

    /** Checks {@code R = (h ⊗ H_{2^a})·diag(signs)/√n} in every entry. */
    private static void check(int length, int[][] h, int a) {
        Rotation rotation = Rotation.of(length, SEED);
        int n = rotation.paddedLength();
        Assert.assertEquals(n, h.length << a, rotation.toString());
        SplitMix64 random = new SplitMix64(SEED);
        long word = 0;
        for (int column = 0; column < n; column++) {
            if (column % 64 == 0) {
                word = random.next();
            }
            int sign = (word >>> column % 64 & 1) == 0 ? 1 : -1;
            float[] image = new float[n];
            image[column] = 1;
            rotation.apply(image, 0);
            for (int row = 0; row < n; row++) {
                int inner = Integer.bitCount(row & column & (1 << a) - 1) % 2 == 0 ? 1 : -1;
                double expected = sign * inner * h[row >> a][column >> a] / Math.sqrt(n);
                Assert.assertEquals(image[row], (float) expected, ROUNDING, row + ", " + column);
            }
        }
    }

    /** 0, 1 or −1: whether x is a square mod p. */
    private static int character(int x, int p) {
        int residue = Math.floorMod(x, p);
        for (int i = 1; i < p; i++) {
            if (i * i % p == residue) {
                return 1;
            }
        }
        return residue == 0 ? 0 : -1;
    }

    /** The first outputs of SplitMix64 from state 1234567, as its authors' test vector has them. */
    @Test
    public void generatorIsSplitMix64() {
        SplitMix64 random = new SplitMix64(1234567);
        long[] expected = {
            6457827717110365317L,
            3203168211198807973L,
            -8629252141511181193L,
            4593380528125082431L,
            -2037821214251327795L
        };
        for (long value : expected) {
            Assert.assertEquals(random.next(), value);
        }
    }
}
