package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

public class NibbleWordTest {
    private static final VoronoiCode CODE = new VoronoiCode(CoarseLattice.GOSSET, 16);
    private static final long SEED = 16;

    @Test
    public void everyWordDecodesToTheLeaderOfItsCoset() {
        Random random = new Random(SEED);
        int[] y = new int[8];
        int[] digits = new int[8];
        int[] leader = new int[8];
        for (int trial = 0; trial < 500_000; trial++) {
            int word = random.nextInt();
            NibbleWord.leader(word, y);
            Assert.assertTrue(GossetLattice.contains(y));
            Assert.assertEquals(NibbleWord.pack(y), word);
            CODE.encode(y, digits);
            CODE.leader(digits, leader);
            Assert.assertEquals(y, leader);
        }
    }

    @Test
    public void tiesAreDecidedAsInTheVoronoiCode() {
        // few distinct small nibbles: words full of zeros, halves of q and equal magnitudes
        Random random = new Random(SEED);
        int[] nibbles = {0, 4, 8, 12, 1, 15, 7, 9};
        int[] y = new int[8];
        int[] digits = new int[8];
        int[] leader = new int[8];
        for (int trial = 0; trial < 500_000; trial++) {
            int word = 0;
            int kinds = 1 + random.nextInt(8);
            for (int i = 0; i < 8; i++) {
                word = word << 4 | nibbles[random.nextInt(kinds)];
            }
            NibbleWord.leader(word, y);
            Assert.assertEquals(NibbleWord.pack(y), word);
            CODE.encode(y, digits);
            CODE.leader(digits, leader);
            Assert.assertEquals(y, leader);
        }
    }

    @Test
    public void bitsAreWhereTheFormatSaysTheyAre() {
        Assert.assertEquals(NibbleWord.pack(new int[8]), 0);
        // x = (1, 1, 0, ...): low nibbles of bytes 0 and 1
        Assert.assertEquals(NibbleWord.pack(new int[] {2, 2, 0, 0, 0, 0, 0, 0}), 0x00000101);
        // x = ½·1: p in bit 11
        Assert.assertEquals(NibbleWord.pack(new int[] {1, 1, 1, 1, 1, 1, 1, 1}), 0x00000800);
        // x = (−1, 1, 0, ...): two's complement
        Assert.assertEquals(NibbleWord.pack(new int[] {-2, 2, 0, 0, 0, 0, 0, 0}), 0x0000010f);
        // x_1 = −1 needs the shift by 8·1, and coordinate 4 is the high nibble of byte 0
        Assert.assertEquals(NibbleWord.pack(new int[] {0, -2, 0, 0, 2, 0, 0, 0}), 0x98888798);
    }
}
