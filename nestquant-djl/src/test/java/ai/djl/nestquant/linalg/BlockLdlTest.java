package ai.djl.nestquant.linalg;

import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Factors multiply back to the matrix, and only positive definite matrices have them. */
public class BlockLdlTest {

    /** Rounding of n double products, relative to the diagonal. */
    private static final double DOUBLE_TOLERANCE = 1e-12;

    /** L is kept in float. */
    private static final double FLOAT_TOLERANCE = 1e-6;

    @DataProvider
    public Object[][] sizes() {
        return new Object[][] {{8, 8}, {24, 8}, {64, 8}, {72, 8}, {200, 8}, {96, 32}, {48, 16}};
    }

    /** A Gram matrix of correlated vectors plus a little of the identity. */
    static double[] gram(int n, long seed) {
        Random random = new Random(seed);
        double[][] x = new double[n + 3][n];
        for (double[] row : x) {
            double common = random.nextGaussian();
            for (int i = 0; i < n; i++) {
                row[i] = common + random.nextGaussian() * (1 + i % 5);
            }
        }
        double[] h = new double[n * n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                for (double[] row : x) {
                    h[i * n + j] += row[i] * row[j] / x.length;
                }
            }
            h[i * n + i] += 0.01;
        }
        return h;
    }

    private static Cholesky factor(double[] matrix, int n) {
        double[][] lower = new double[n][];
        for (int i = 0; i < n; i++) {
            lower[i] = Arrays.copyOfRange(matrix, i * n, i * n + i + 1);
        }
        return Cholesky.factor(lower);
    }

    @Test(dataProvider = "sizes")
    public void choleskyFactorTimesItsTransposeIsTheMatrix(int n, int width) {
        double[] h = gram(n, n);
        Cholesky c = factor(h, n);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j <= i; j++) {
                double sum = 0;
                for (int k = 0; k <= j; k++) {
                    sum += c.entry(i, k) * c.entry(j, k);
                }
                double size = Math.sqrt(h[i * n + i] * h[j * n + j]);
                Assert.assertEquals(sum, h[i * n + j], DOUBLE_TOLERANCE * size);
            }
        }
    }

    @Test(dataProvider = "sizes")
    public void lTimesDTimesLTransposedIsTheMatrix(int n, int width) {
        double[] h = gram(n, n + 1);
        BlockLdl factors = BlockLdl.of(factor(h, n), width);
        double[] l = new double[n * n];
        double[] d = new double[n * n];
        for (int i = 0; i < n; i++) {
            l[i * n + i] = 1;
            for (int j = 0; j < n; j++) {
                if (j / width < i / width) {
                    l[i * n + j] = factors.lower()[i][j];
                }
                if (i / width == j / width) {
                    d[i * n + j] = factors.diagonal()[i * width + j % width];
                }
            }
        }
        double[] product = timesTransposed(times(l, d, n), l, n);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                double size = Math.sqrt(h[i * n + i] * h[j * n + j]);
                Assert.assertEquals(product[i * n + j], h[i * n + j], FLOAT_TOLERANCE * size);
            }
        }
    }

    private static double[] times(double[] a, double[] b, int n) {
        double[] product = new double[n * n];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < n; k++) {
                for (int j = 0; j < n; j++) {
                    product[i * n + j] += a[i * n + k] * b[k * n + j];
                }
            }
        }
        return product;
    }

    private static double[] timesTransposed(double[] a, double[] b, int n) {
        double[] transposed = new double[n * n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                transposed[i * n + j] = b[j * n + i];
            }
        }
        return times(a, transposed, n);
    }

    @Test(dataProvider = "sizes")
    public void solutionTimesTheMatrixIsTheRightHandSide(int n, int width) {
        double[] h = gram(n, n + 2);
        Random random = new Random(n);
        double[][] b = new double[n][];
        double[][] x = new double[n][];
        for (int i = 0; i < n; i++) {
            b[i] = random.doubles(3, -1, 1).toArray();
            x[i] = b[i].clone();
        }
        factor(h, n).solve(x);
        double conditioned =
                1e-9; // the smallest eigenvalue is at least 0.01, the largest below 1e4
        for (int i = 0; i < n; i++) {
            for (int column = 0; column < 3; column++) {
                double sum = 0;
                for (int k = 0; k < n; k++) {
                    sum += h[i * n + k] * x[k][column];
                }
                Assert.assertEquals(sum, b[i][column], conditioned);
            }
        }
    }

    @Test
    public void indefiniteMatrixNamesItsPivot() {
        double[] h = {1, 0, 0, 0, 2, 3, 0, 3, 4};
        NotPositiveDefiniteException error =
                Assert.expectThrows(NotPositiveDefiniteException.class, () -> factor(h, 3));
        Assert.assertTrue(error.getMessage().contains("pivot 2"), error.getMessage());
    }
}
