package ai.djl.nestquant.codec;

import java.nio.ByteBuffer;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Words in memory, and the way to and from those of containers. */
public class LeaderWordTest {
    private static final long SEED = 4375;

    @DataProvider
    public Object[][] codes() {
        PackedCode[] codes = PackedCode.values();
        Object[][] all = new Object[codes.length][1];
        for (int i = 0; i < codes.length; i++) {
            all[i][0] = codes[i];
        }
        return all;
    }

    @Test(dataProvider = "codes")
    public void everyLeaderIsGivenBack(PackedCode code) {
        Random random = new Random(SEED);
        int[] point = new int[8];
        int[] leader = new int[8];
        int[] y = new int[8];
        int moved = 0;
        int trials = 300_000;
        for (int trial = 0; trial < trials; trial++) {
            randomPoint(random, trial, point);
            code.cosets().leaderOf(point, leader);
            int index = code.index(leader, trial & 3);
            code.leader(code.pack(leader), index, y);
            Assert.assertEquals(y, leader);
            Assert.assertEquals(code.step(index), code.ladder().step(trial & 3));
            moved += index >>> 2;
            if (code.dual()) {
                Assert.assertEquals(
                        DualNibbleWord.ofLeaderWord(code.pack(leader), trial & 7, code.width()),
                        DualNibbleWord.pack(leader, trial & 7, code.width()));
            }
        }
        // a leader of q·E8 in nine lies outside of the cube of half its size
        Assert.assertEquals(moved > trials / 20, !code.dual(), moved + " moved");
    }

    /** Points of E8, one half of them with few different entries: many ties. */
    private static void randomPoint(Random random, int trial, int[] y) {
        int parity = random.nextInt(2);
        int bound = trial % 2 == 0 ? 64 : 8;
        int unit = trial % 2 == 0 ? 1 : 4;
        int sum = 0;
        for (int i = 0; i < 8; i++) {
            y[i] = 2 * unit * (random.nextInt(bound) - bound / 2) + parity;
            sum += y[i];
        }
        y[random.nextInt(8)] += sum & 2; // Σy is a multiple of 4
    }

    @Test
    public void bitsAreWhereTheyAreSaidToBe() {
        Assert.assertEquals(LeaderWord.pack(new int[8], 4), 0);
        // x = (1, 1, 0, ...): low nibbles of bytes 0 and 1
        Assert.assertEquals(LeaderWord.pack(new int[] {2, 2, 0, 0, 0, 0, 0, 0}, 4), 0x00000101);
        // x = ½·1: p in bit 28, the lowest of a_7
        Assert.assertEquals(LeaderWord.pack(new int[] {1, 1, 1, 1, 1, 1, 1, 1}, 4), 0x10000000);
        // x = (0, ..., −1, −1): a_6 and a_7, whose lowest bit follows from that of a_6
        Assert.assertEquals(LeaderWord.pack(new int[] {0, 0, 0, 0, 0, 0, -2, -2}, 4), 0xe0f00000);
        // x = (9, 1, 0, ...): 9 is stored as −7
        int[] y = {18, 2, 0, 0, 0, 0, 0, 0};
        Assert.assertTrue(LeaderWord.moves(y, 4));
        Assert.assertEquals(LeaderWord.pack(y, 4), 0x00000109);
        int[] leader = new int[8];
        LeaderWord.leader(0x00000109, true, 4, leader);
        Assert.assertEquals(leader, y);
    }

    @Test
    public void indicesHaveThreeBitsOfATilesSixBytes() {
        PackedMatrix matrix = PackedMatrix.allocate(PackedCode.D8_16, 40, 24, 1f);
        matrix.put(18, 1, new int[8], 5);
        Assert.assertEquals(matrix.betas().get(matrix.indexAt(1, 1)) & 255, 5 << 6 & 255);
        Assert.assertEquals(matrix.betas().get(matrix.indexAt(1, 1) + 1), 5 >> 2);
        Assert.assertEquals(matrix.indexAt(1, 1), 6 * 4);
        Random random = new Random(SEED);
        int[][] written = new int[40][3];
        for (int trial = 0; trial < 1000; trial++) {
            int row = random.nextInt(40);
            int block = random.nextInt(3);
            written[row][block] = random.nextInt(8);
            matrix.put(row, block, new int[8], written[row][block]);
        }
        for (int row = 0; row < 40; row++) {
            for (int block = 0; block < 3; block++) {
                if (row != 18 || block != 1) {
                    Assert.assertEquals(matrix.index(row, block), written[row][block]);
                }
            }
        }
    }

    @Test(dataProvider = "codes")
    public void storedCodesAreReadAndWritten(PackedCode code) {
        Random random = new Random(SEED);
        for (int columns : new int[] {8, 40, 64}) {
            PackedMatrix matrix = PackedMatrix.allocate(code, 53, columns, 1f);
            StoredCodes stored = StoredCodes.allocate(matrix, matrix.tiles());
            int[] y = new int[8];
            int[][] leaders = new int[53 * columns / 8][];
            int[] indices = new int[leaders.length];
            for (int i = 0; i < leaders.length; i++) {
                randomPoint(random, i, y);
                leaders[i] = new int[8];
                code.cosets().leaderOf(y, leaders[i]);
                indices[i] = random.nextInt(code.ladder().size());
                matrix.put(i / (columns / 8), i % (columns / 8), leaders[i], indices[i]);
            }
            for (int row = 0; row < matrix.rows(); row++) {
                stored.writeRow(row, matrix, row);
            }
            PackedMatrix read = PackedMatrix.allocate(code, 53, columns, 1f);
            for (int tile = 0; tile < matrix.tiles(); tile++) {
                stored.read(tile, read, tile);
            }
            Assert.assertEquals(read.words(), matrix.words());
            Assert.assertEquals(read.betas(), matrix.betas());
            for (int i = 0; i < leaders.length; i++) {
                int row = i / (columns / 8);
                int block = i % (columns / 8);
                code.leader(read.word(row, block), read.index(row, block), y);
                Assert.assertEquals(y, leaders[i]);
                Assert.assertEquals(
                        code.step(read.index(row, block)), code.ladder().step(indices[i]));
            }
            ByteBuffer words = stored.words();
            Assert.assertEquals(words.capacity() % (16 * 4), 0);
        }
    }
}
