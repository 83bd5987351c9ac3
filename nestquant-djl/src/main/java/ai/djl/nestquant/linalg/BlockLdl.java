package ai.djl.nestquant.linalg;

import java.util.stream.IntStream;

/**
 * The block LDL factors of a symmetric positive definite matrix, {@code H = L·D·Lᵀ}: L is lower
 * triangular with unit blocks of a fixed width on its diagonal, D is block diagonal.
 *
 * <p>With H's Cholesky factor C and its diagonal blocks C_bb, column block b of L is that of C
 * times {@code C_bb⁻¹} and {@code D_b = C_bb·C_bbᵀ}. Computed in double, kept in float, because
 * LDLQ only multiplies rounding errors by L. Immutable and thread-safe.
 */
public final class BlockLdl {

    private final int size;
    private final int width;
    private final float[][] lower;
    private final double[] diagonal;

    private BlockLdl(int size, int width, float[][] lower, double[] diagonal) {
        this.size = size;
        this.width = width;
        this.lower = lower;
        this.diagonal = diagonal;
    }

    /**
     * Factors a matrix whose Cholesky factor is known.
     *
     * @param cholesky of H, n x n
     * @param width the blocks' width, a divisor of n
     * @return the factors
     * @throws IllegalArgumentException if width does not divide n
     */
    public static BlockLdl of(Cholesky cholesky, int width) {
        int size = cholesky.size();
        if (width < 1 || size % width != 0) {
            throw new IllegalArgumentException(
                    "blocks of " + width + " do not divide a matrix of " + size + " rows");
        }
        float[][] lower = new float[size][];
        for (int i = 0; i < size; i++) {
            lower[i] = new float[i / width * width];
        }
        double[] diagonal = new double[size * width];
        IntStream.range(0, size / width)
                .parallel()
                .forEach(block -> factorColumns(cholesky, block * width, width, lower, diagonal));
        return new BlockLdl(size, width, lower, diagonal);
    }

    private static void factorColumns(
            Cholesky c, int start, int width, float[][] lower, double[] diagonal) {
        for (int i = 0; i < width; i++) {
            for (int j = 0; j < width; j++) {
                double sum = 0;
                for (int k = 0; k <= Math.min(i, j); k++) {
                    sum += c.entry(start + i, start + k) * c.entry(start + j, start + k);
                }
                diagonal[(start + i) * width + j] = sum;
            }
        }
        double[] row = new double[width];
        for (int i = start + width; i < c.size(); i++) {
            // row · C_bb⁻¹, last entry first
            for (int j = width - 1; j >= 0; j--) {
                double sum = c.entry(i, start + j);
                for (int k = j + 1; k < width; k++) {
                    sum -= row[k] * c.entry(start + k, start + j);
                }
                row[j] = sum / c.entry(start + j, start + j);
                lower[i][start + j] = (float) row[j];
            }
        }
    }

    /** Returns n. */
    public int size() {
        return size;
    }

    /** Returns the blocks' width. */
    public int width() {
        return width;
    }

    /**
     * Returns the rows of L up to their diagonal blocks, which are units; shared, not to be written
     * to.
     */
    public float[][] lower() {
        return lower;
    }

    /** Returns D's blocks below each other, {@code [n][width]}; shared, not to be written to. */
    public double[] diagonal() {
        return diagonal;
    }
}
