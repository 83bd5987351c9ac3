package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The worked examples of docs/FORMAT.md are what the code computes. */
public class FormatTest {
    private static final int WORD = 0x7b19a0f4;

    @Test
    public void nibbleWordExample() throws IOException {
        int[] y = new int[8];
        NibbleWord.leader(WORD, y);
        assertDocumented("word `" + hex(WORD) + "`");
        assertDocumented("**y = " + tuple(y) + "**");
        PackedMatrix matrix = PackedMatrix.allocate(PackedCode.E8_16, 1, 8, 0.5f);
        StoredCodes stored = StoredCodes.allocate(matrix, 1);
        stored.words().putInt(0, WORD);
        stored.betas().putInt(0, 1);
        stored.read(0, matrix, 0);
        matrix.rowScales().put(0, (byte) 30);
        byte[] row = new byte[8];
        matrix.decodeRow(0, row);
        int[] integers = new int[8];
        Arrays.setAll(integers, i -> row[i]);
        assertDocumented("the integers are " + tuple(integers));
        assertDocumented(String.format("= %.7f", matrix.rowScale(0)));
        assertDocumented(String.format("first entry %.6f", matrix.rowScale(0) * row[0]));
        NibbleWord.leader(0x12345678, y);
        assertDocumented("Word `0x12345678`: **y = " + tuple(y) + "**");
    }

    @Test
    public void dualNibbleWordExample() throws IOException {
        int[] y = new int[8];
        DualNibbleWord.leader(WORD, y);
        Assert.assertEquals(DualNibbleWord.highBetaBit(WORD), 4);
        assertDocumented("index bit 2 is 1, **y = " + tuple(y) + "**");
    }

    @Test
    public void digitWordExample() throws IOException {
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 8);
        int[] y = new int[8];
        int[] digits = new int[8];
        new DigitWord(code).leader(0x5a3c71, y);
        code.encode(y, digits);
        assertDocumented("word `0x5a3c71`: digits " + tuple(digits) + ", **y = " + tuple(y) + "**");
    }

    @Test
    public void radixExample() throws IOException {
        VoronoiCode code = new VoronoiCode(CoarseLattice.GOSSET, 14);
        int[] points = {1, 3, -5, 7, -1, -3, 9, 1, -4, 0, 2, 6, -8, 2, 0, 2};
        for (int block = 0; block < 2; block++) {
            int[] y = Arrays.copyOfRange(points, 8 * block, 8 * block + 8);
            int[] digits = new int[8];
            code.encode(y, digits);
            long rank = 0;
            for (int i = 7; i >= 0; i--) {
                rank = 14 * rank + digits[i];
            }
            assertDocumented("| " + tuple(y) + " | " + tuple(digits) + " | " + rank + " |");
        }
        byte[] packed = new RadixCodes(code).pack(points);
        StringBuilder bytes = new StringBuilder();
        for (byte value : packed) {
            bytes.append(String.format(" %02x", value));
        }
        assertDocumented("**" + bytes.substring(1) + "**");
    }

    private static void assertDocumented(String text) throws IOException {
        String document = Files.readString(Path.of("docs", "FORMAT.md")).replaceAll("\\s+", " ");
        Assert.assertTrue(document.contains(text), "docs/FORMAT.md does not say: " + text);
    }

    private static String hex(int word) {
        return String.format("0x%08x", word);
    }

    private static String tuple(int[] values) {
        return Arrays.stream(values)
                .mapToObj(value -> value < 0 ? "−" + -value : String.valueOf(value))
                .collect(Collectors.joining(", ", "(", ")"));
    }
}
