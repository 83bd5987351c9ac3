package ai.djl.nestquant.lattice;

import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

public class GossetLatticeTest {
    private static final long SEED = 4;

    /** Rounding of v − round(v) for coordinates up to 64, and of the index packed into |d|. */
    private static final double FLOAT_TOLERANCE = 1e-4;

    /** Mean squared distance to E8 per entry, Conway and Sloane, table 2.3. */
    private static final double SECOND_MOMENT = 0.0716821;

    @Test
    public void nearestPointIsInTheLatticeAndNearest() {
        Random random = new Random(SEED);
        float[] x = new float[8];
        int[] y = new int[8];
        for (int trial = 0; trial < 20_000; trial++) {
            for (int i = 0; i < 8; i++) {
                x[i] = (float) random.nextGaussian() * 8;
            }
            float distance = GossetLattice.nearest(x, 0, 0.5f, y);
            Assert.assertTrue(GossetLattice.contains(y));
            Assert.assertEquals(distance, distance(x, y), FLOAT_TOLERANCE);
            Assert.assertEquals(distance, bruteForceDistance(x), FLOAT_TOLERANCE);
        }
    }

    @Test
    public void latticePointsAreTheirOwnNearest() {
        Random random = new Random(SEED);
        float[] x = new float[8];
        int[] y = new int[8];
        for (int trial = 0; trial < 20_000; trial++) {
            int[] point = randomPoint(random, 600);
            for (int i = 0; i < 8; i++) {
                x[i] = point[i];
            }
            Assert.assertEquals(GossetLattice.nearest(x, 0, 0.5f, y), 0f);
            Assert.assertEquals(y, point);
        }
    }

    @Test
    public void meanSquaredDistanceIsTheLatticesSecondMoment() {
        Random random = new Random(SEED);
        float[] x = new float[8];
        int[] y = new int[8];
        int trials = 200_000;
        double sum = 0;
        for (int trial = 0; trial < trials; trial++) {
            for (int i = 0; i < 8; i++) {
                x[i] = random.nextFloat() * 4;
            }
            sum += GossetLattice.nearest(x, 0, 1, y);
        }
        Assert.assertEquals(sum / trials / 8, SECOND_MOMENT, SECOND_MOMENT * 0.005);
    }

    @Test
    public void containsRejectsMixedParityAndWrongSums() {
        Assert.assertTrue(GossetLattice.contains(new int[] {2, 2, 0, 0, 0, 0, 0, 0}));
        Assert.assertTrue(GossetLattice.contains(new int[] {1, 1, 1, 1, 1, 1, 1, 1}));
        Assert.assertFalse(GossetLattice.contains(new int[] {2, 0, 0, 0, 0, 0, 0, 0}));
        Assert.assertFalse(GossetLattice.contains(new int[] {1, 1, 1, 1, 1, 1, 1, -1}));
        Assert.assertFalse(GossetLattice.contains(new int[] {1, 1, 1, 1, 0, 0, 0, 0}));
    }

    /** A point of E8 with doubled coordinates of about the given size. */
    static int[] randomPoint(Random random, int size) {
        int[] y = new int[8];
        int parity = random.nextInt(2);
        int sum = 0;
        for (int i = 0; i < 8; i++) {
            y[i] = 2 * (random.nextInt(size) - size / 2) + parity;
            sum += y[i];
        }
        y[random.nextInt(8)] += sum & 3;
        return y;
    }

    private static double distance(float[] x, int[] y) {
        double sum = 0;
        for (int i = 0; i < 8; i++) {
            double d = 0.5 * x[i] - 0.5 * y[i];
            sum += d * d;
        }
        return sum;
    }

    /** Tries the two roundings of each coordinate, in Z^8 and in Z^8 + ½·1, that E8 contains. */
    private static double bruteForceDistance(float[] x) {
        double best = Double.POSITIVE_INFINITY;
        int[] y = new int[8];
        for (int parity = 0; parity < 2; parity++) {
            for (int choice = 0; choice < 256; choice++) {
                for (int i = 0; i < 8; i++) {
                    int below = 2 * (int) Math.floor((x[i] - parity) / 2) + parity;
                    y[i] = below + 2 * (choice >> i & 1);
                }
                if (GossetLattice.contains(y)) {
                    best = Math.min(best, distance(x, y));
                }
            }
        }
        return best;
    }
}
