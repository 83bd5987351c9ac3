package ai.djl.nestquant.lattice;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class VoronoiCodeTest {
    private static final long SEED = 4;

    @DataProvider
    public Object[][] codes() {
        int[] ratios = {2, 3, 4, 5, 7, 8, 13, 14, 16, 64, 255, 256};
        List<Object[]> codes = new ArrayList<>();
        for (CoarseLattice coarse : CoarseLattice.values()) {
            for (int ratio : ratios) {
                if (ratio % 2 == 0 || !coarse.singleWraps()) {
                    codes.add(new Object[] {new VoronoiCode(coarse, ratio)});
                }
            }
        }
        return codes.toArray(new Object[0][]);
    }

    @Test(dataProvider = "codes")
    public void encodeInvertsLeader(VoronoiCode code) {
        Random random = new Random(SEED);
        int[] y = new int[8];
        int[] decoded = new int[8];
        long size = size(code);
        boolean exhaustive = size > 0 && size <= 1 << 16;
        for (long trial = 0; trial < (exhaustive ? size : 20_000); trial++) {
            int[] digits = exhaustive ? digits(code, trial) : randomDigits(code, random);
            code.leader(digits, y);
            Assert.assertTrue(GossetLattice.contains(y));
            code.encode(y, decoded);
            Assert.assertEquals(decoded, digits);
            Assert.assertTrue(code.isLeader(y));
        }
    }

    @Test(dataProvider = "codes")
    public void coarseTranslationsDoNotChangeTheCode(VoronoiCode code) {
        Random random = new Random(SEED);
        int[] digits = new int[8];
        int[] translated = new int[8];
        for (int trial = 0; trial < 2_000; trial++) {
            int[] y = GossetLatticeTest.randomPoint(random, 3 * code.nestingRatio());
            int[] z = y.clone();
            addCoarsePoint(code, random, z);
            code.encode(y, digits);
            code.encode(z, translated);
            Assert.assertEquals(translated, digits);
        }
    }

    @Test(dataProvider = "codes")
    public void pointsOfOneCosetDifferByTheCoarseLattice(VoronoiCode code) {
        Random random = new Random(SEED);
        int[] digits = new int[8];
        int[] leader = new int[8];
        for (int trial = 0; trial < 2_000; trial++) {
            int[] y = GossetLatticeTest.randomPoint(random, 3 * code.nestingRatio());
            code.encode(y, digits);
            code.leader(digits, leader);
            Assert.assertTrue(inCoarseLattice(code, y, leader));
            Assert.assertEquals(code.isLeader(y), Arrays.equals(y, leader));
        }
    }

    @Test(dataProvider = "codes")
    public void leadersAreShortest(VoronoiCode code) {
        if (code.coarse() == CoarseLattice.GOSSET_FIXED) {
            return; // not meant to be
        }
        Random random = new Random(SEED);
        int[] y = new int[8];
        for (int trial = 0; trial < 300; trial++) {
            code.leader(randomDigits(code, random), y);
            Assert.assertTrue(norm(y) <= 4 * code.largestNorm() * code.largestNorm());
            Assert.assertEquals(norm(y), shortestOfCoset(code, y));
        }
    }

    @Test
    public void ratesAreTheLogarithmsOfTheIndex() {
        Assert.assertEquals(new VoronoiCode(CoarseLattice.GOSSET, 16).bitsPerEntry(), 4, 1e-12);
        Assert.assertEquals(new VoronoiCode(CoarseLattice.CUBE, 16).bitsPerEntry(), 4, 1e-12);
        Assert.assertEquals(
                new VoronoiCode(CoarseLattice.DUAL_CHECKERBOARD, 16).bitsPerEntry(), 3.875, 1e-12);
        Assert.assertEquals(
                new VoronoiCode(CoarseLattice.GOSSET, 14).bitsPerEntry(), 3.8073549, 1e-6);
    }

    @Test
    public void latticesThatAreNoSublatticesAreRejected() {
        Assert.assertThrows(
                IllegalArgumentException.class, () -> new VoronoiCode(CoarseLattice.CUBE, 15));
        Assert.assertThrows(
                IllegalArgumentException.class, () -> new VoronoiCode(CoarseLattice.GOSSET, 1));
        Assert.assertThrows(
                IllegalArgumentException.class, () -> new VoronoiCode(CoarseLattice.GOSSET, 257));
    }

    private static long size(VoronoiCode code) {
        double bits = code.bitsPerEntry() * 8;
        return bits > 40 ? -1 : Math.round(Math.pow(2, bits));
    }

    private static int[] digits(VoronoiCode code, long index) {
        int[] digits = new int[8];
        for (int i = 0; i < 8; i++) {
            digits[i] = (int) (index % code.radix(i));
            index /= code.radix(i);
        }
        return digits;
    }

    static int[] randomDigits(VoronoiCode code, Random random) {
        int[] digits = new int[8];
        for (int i = 0; i < 8; i++) {
            digits[i] = random.nextInt(code.radix(i));
        }
        return digits;
    }

    private static void addCoarsePoint(VoronoiCode code, Random random, int[] y) {
        int q = code.nestingRatio();
        int[] point = GossetLatticeTest.randomPoint(random, 6);
        boolean half = (point[0] & 1) == 1;
        for (int i = 0; i < 8; i++) {
            if (half && !code.coarse().halfShift()) {
                point[i]++;
            }
            y[i] += q * point[i];
        }
        if (code.coarse().singleWraps()) {
            y[random.nextInt(8)] += 2 * q;
        }
    }

    private static boolean inCoarseLattice(VoronoiCode code, int[] y, int[] z) {
        int q = code.nestingRatio();
        int[] quotient = new int[8];
        int differing = 0;
        int sum = 0;
        for (int i = 0; i < 8; i++) {
            if ((y[i] - z[i]) % q != 0) {
                return false;
            }
            quotient[i] = (y[i] - z[i]) / q;
            differing |= quotient[i] ^ quotient[0];
            sum += quotient[i];
        }
        boolean half = (quotient[0] & 1) == 1;
        return (differing & 1) == 0
                && (!half || code.coarse().halfShift())
                && (code.coarse().singleWraps() || (sum & 3) == 0);
    }

    /** The least norm among y plus all coarse points with coordinates up to ±3q/2 in x. */
    private static int shortestOfCoset(VoronoiCode code, int[] y) {
        int q = code.nestingRatio();
        int best = Integer.MAX_VALUE;
        int[] z = new int[8];
        for (int half = 0; half < (code.coarse().halfShift() ? 2 : 1); half++) {
            for (int choice = 0; choice < 6561; choice++) {
                int rest = choice;
                int sum = 0;
                for (int i = 0; i < 8; i++) {
                    int multiple = 2 * (rest % 3 - 1) + half;
                    rest /= 3;
                    sum += multiple;
                    z[i] = y[i] + q * multiple;
                }
                if (code.coarse().singleWraps() || (sum & 3) == 0) {
                    best = Math.min(best, norm(z));
                }
            }
        }
        return best;
    }

    private static int norm(int[] y) {
        int sum = 0;
        for (int coordinate : y) {
            sum += coordinate * coordinate;
        }
        return sum;
    }
}
