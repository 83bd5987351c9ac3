package ai.djl.nestquant.calibration;

import ai.djl.nestquant.linalg.BlockLdl;
import ai.djl.nestquant.linalg.RowSums;
import java.util.Arrays;

/**
 * Rounds the rows of a weight with feedback, so that {@code tr((W − Ŵ)·H·(W − Ŵ)ᵀ)} is small (LDLQ;
 * NestQuant paper).
 *
 * <p>With {@code H = L·D·Lᵀ} in blocks and {@code E = W − Ŵ} that is {@code Σ_b F_b·D_b·F_bᵀ} with
 * {@code F = E·L}. Column blocks are rounded from last to first; block b's target is {@code W_b +
 * Σ_(c>b) E_c·L_cb}, whose rounding error is F_b. What a group of {@value #GROUP} columns feeds
 * back to those before it is added at once, as a matrix product.
 *
 * <p>Rows do not depend on each other. Immutable and thread-safe.
 */
public final class Ldlq {

    /**
     * Columns whose feedback is added at once to all before: 128 rows of a chunk of L are 512 KB.
     */
    static final int GROUP = 128;

    /** Columns of a chunk of L, which stays in the second cache while all rows use it. */
    private static final int CHUNK = 1024;

    private final BlockLdl factors;

    /**
     * Prepares rounding.
     *
     * @param factors of H
     */
    public Ldlq(BlockLdl factors) {
        this.factors = factors;
    }

    /**
     * Rounds rows, each of them several times if the code rounds each time otherwise.
     *
     * @param rows W, {@code [count / times][n]}
     * @param count the number of rounded rows
     * @param times how often each row is rounded: row {@code r / times} becomes rounded row r
     * @param code what they are rounded to, row r by row r
     * @param decoded receives Ŵ, {@code [count][n]}
     * @return {@code (w − ŵ)·H·(w − ŵ)ᵀ} of each rounded row
     */
    public double[] round(float[] rows, int count, int times, BlockCode code, float[] decoded) {
        int n = factors.size();
        if (code.width() != factors.width()) {
            throw new IllegalArgumentException(
                    "the code's blocks have %d entries, those of the factors %d"
                            .formatted(code.width(), factors.width()));
        }
        float[][] targets = new float[count][];
        for (int row = 0; row < count; row++) {
            targets[row] = Arrays.copyOfRange(rows, row / times * n, (row / times + 1) * n);
        }
        float[][] errors = new float[count][n];
        double[] losses = new double[count];
        for (int start = (n - 1) / GROUP * GROUP; start >= 0; start -= GROUP) {
            int end = Math.min(n, start + GROUP);
            for (int row = 0; row < count; row++) {
                losses[row] +=
                        roundGroup(
                                row,
                                start,
                                end,
                                rows,
                                row / times * n,
                                targets[row],
                                code,
                                decoded,
                                errors[row]);
            }
            feedBack(start, end, errors, targets);
        }
        return losses;
    }

    /** Rounds a group of columns of one row; feedback stays within the group. */
    private double roundGroup(
            int row,
            int start,
            int end,
            float[] rows,
            int rowStart,
            float[] target,
            BlockCode code,
            float[] decoded,
            float[] errors) {
        int width = factors.width();
        float[] block = new float[width];
        double loss = 0;
        for (int column = end - width; column >= start; column -= width) {
            int at = row * factors.size() + column;
            code.round(row, column, target, column, block);
            for (int k = 0; k < width; k++) {
                decoded[at + k] = block[k];
                errors[column + k] = rows[rowStart + column + k] - block[k];
                block[k] = target[column + k] - block[k];
            }
            loss += weighted(block, column);
            RowSums.add(target, start, column, errors, column, column + width, factors.lower());
        }
        return loss;
    }

    /** {@code f·D_b·fᵀ}. */
    private double weighted(float[] f, int column) {
        double[] diagonal = factors.diagonal();
        double sum = 0;
        for (int i = 0; i < f.length; i++) {
            double product = 0; // on its own, so that the sums of all i go on side by side
            for (int j = 0; j < f.length; j++) {
                product += diagonal[(column + i) * f.length + j] * f[j];
            }
            sum += f[i] * product;
        }
        return sum;
    }

    /** Adds a group's feedback to all columns before it, chunk by chunk. */
    private void feedBack(int start, int end, float[][] errors, float[][] targets) {
        for (int chunk = 0; chunk < start; chunk += CHUNK) {
            int last = Math.min(start, chunk + CHUNK);
            for (int row = 0; row < targets.length; row++) {
                RowSums.add(targets[row], chunk, last, errors[row], start, end, factors.lower());
            }
        }
    }
}
