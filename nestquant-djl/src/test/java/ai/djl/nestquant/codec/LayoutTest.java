package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Arrays;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class LayoutTest {
    private static final long SEED = 8;

    @DataProvider
    public Object[][] words() {
        return new Object[][] {
            {CoarseLattice.GOSSET, 4, 16},
            {CoarseLattice.GOSSET, 8, 24},
            {CoarseLattice.GOSSET, 16, 32},
            {CoarseLattice.GOSSET, 64, 48},
            {CoarseLattice.GOSSET, 256, 64},
            {CoarseLattice.DUAL_CHECKERBOARD, 16, 31},
            {CoarseLattice.DUAL_CHECKERBOARD, 8, 23},
            {CoarseLattice.CUBE, 16, 32},
        };
    }

    @Test(dataProvider = "words")
    public void digitWordsAndLeadersAreInBijection(CoarseLattice coarse, int ratio, int bits) {
        VoronoiCode code = new VoronoiCode(coarse, ratio);
        DigitWord words = new DigitWord(code);
        Assert.assertEquals(words.bits(), bits);
        Assert.assertEquals(words.bits(), code.bitsPerEntry() * 8, 1e-9);
        Random random = new Random(SEED);
        int[] y = new int[8];
        for (int trial = 0; trial < (bits == 16 ? 1 << 16 : 50_000); trial++) {
            long word = bits == 16 ? trial : random.nextLong() >>> 64 - bits;
            words.leader(word, y);
            Assert.assertTrue(code.isLeader(y));
            Assert.assertEquals(words.pack(y), word);
        }
    }

    @Test
    public void digitWordsNeedPowersOfTwo() {
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 14);
        Assert.assertThrows(IllegalArgumentException.class, () -> new DigitWord(code));
    }

    @Test
    public void dualNibbleWordsDecodeToTheLeadersOfDualCheckerboardCosets() {
        VoronoiCode code = new VoronoiCode(CoarseLattice.DUAL_CHECKERBOARD, 16);
        Random random = new Random(SEED);
        int[] y = new int[8];
        int[] leader = new int[8];
        for (int trial = 0; trial < 300_000; trial++) {
            int word = random.nextInt();
            if (trial % 2 == 0) {
                word &= 0x888c8c88; // halves and quarters of q: many ties
            }
            DualNibbleWord.leader(word, y);
            Assert.assertTrue(GossetLattice.contains(y));
            Assert.assertEquals(DualNibbleWord.pack(y, DualNibbleWord.highBetaBit(word)), word);
            code.leaderOf(y, leader);
            Assert.assertEquals(y, leader);
        }
    }

    @DataProvider
    public Object[][] radices() {
        return new Object[][] {
            {CoarseLattice.GOSSET, 3},
            {CoarseLattice.GOSSET, 14},
            {CoarseLattice.GOSSET, 16},
            {CoarseLattice.GOSSET, 255},
            {CoarseLattice.GOSSET, 256},
            {CoarseLattice.DUAL_CHECKERBOARD, 14},
            {CoarseLattice.CUBE, 6},
        };
    }

    @Test(dataProvider = "radices")
    public void radixCodesGiveBackEveryLeader(CoarseLattice coarse, int ratio) {
        VoronoiCode code = new VoronoiCode(coarse, ratio);
        RadixCodes radix = new RadixCodes(code);
        Random random = new Random(SEED);
        for (int blocks = 1; blocks < 40; blocks += 7) {
            int[] points = new int[8 * blocks];
            int[] y = new int[8];
            for (int block = 0; block < blocks; block++) {
                for (int i = 0; i < 8; i++) {
                    // the largest digits now and then: the ends of the range
                    y[i] = blocks == 8 ? code.radix(i) - 1 : random.nextInt(code.radix(i));
                }
                code.leader(y, y);
                System.arraycopy(y, 0, points, 8 * block, 8);
            }
            byte[] packed = radix.pack(points);
            Assert.assertEquals(packed.length, radix.bytes(blocks));
            double bits = code.bitsPerEntry() * 8 * blocks;
            Assert.assertEquals(packed.length, (int) Math.ceil(bits / 8 - 1e-9));
            Assert.assertEquals(radix.unpack(packed, blocks), points);
        }
    }

    @Test
    public void corruptRadixCodesAreRejected() {
        RadixCodes radix = new RadixCodes(new VoronoiCode(CoarseLattice.GOSSET, 14));
        byte[] packed = new byte[radix.bytes(5)];
        Assert.assertThrows(IllegalArgumentException.class, () -> radix.unpack(packed, 6));
        Arrays.fill(packed, (byte) 255);
        Assert.assertThrows(IllegalArgumentException.class, () -> radix.unpack(packed, 5));
    }

    @Test
    public void indexCodesGiveBackIndicesAndRejectCorruptBytes() {
        Random random = new Random(SEED);
        for (int size : new int[] {1, 2, 4, 8, 16, 200}) {
            int[] indices = new int[1001];
            for (int i = 0; i < indices.length; i++) {
                indices[i] = random.nextInt(size);
            }
            byte[] encoded = IndexCodes.encode(indices, size);
            Assert.assertEquals(IndexCodes.decode(encoded, indices.length, size), indices);
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> IndexCodes.decode(encoded, 2 * indices.length, size));
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () ->
                            IndexCodes.decode(
                                    Arrays.copyOf(encoded, encoded.length / 2),
                                    indices.length,
                                    size));
        }
    }

    @Test
    public void denseMatrixOfRatio14TakesLessThanFourBits() {
        int rows = 512;
        int columns = 576;
        float[] entries = GaussianRows.of(rows * columns, SEED);
        DistortionStats stats = new DistortionStats();
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 14);
        DenseMatrix matrix =
                new DenseMatrix(entries, rows, columns, code, GaussianBetas.E8_14_DENSE, stats);
        double codeBits = 8.0 * matrix.codeBytes() / entries.length;
        Assert.assertTrue(codeBits + 0.25 <= 4.07, "with plain indices " + (codeBits + 0.25));
        Assert.assertTrue(matrix.bitsPerEntry() <= 4.0, "bits " + matrix.bitsPerEntry());
        Assert.assertTrue(stats.relativeError() <= 0.00592, stats.toString());
        float[] decoded = matrix.decode();
        double error = 0;
        double norm = 0;
        for (int i = 0; i < decoded.length; i++) {
            error += Math.pow(entries[i] - decoded[i], 2);
            norm += entries[i] * entries[i];
        }
        Assert.assertEquals(error / norm, stats.relativeError(), 1e-6);
    }

    @Test
    public void denseMatricesMayEndWithinATile() {
        float[] entries = GaussianRows.of(21 * 24, SEED);
        DistortionStats stats = new DistortionStats();
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 5);
        BetaSet betas = BetaSet.of(0.6, 0.9, 1.4);
        float[] decoded = new DenseMatrix(entries, 21, 24, code, betas, stats).decode();
        Assert.assertEquals(decoded.length, entries.length);
        Assert.assertTrue(stats.relativeError() < 0.1, stats.toString());
    }
}
