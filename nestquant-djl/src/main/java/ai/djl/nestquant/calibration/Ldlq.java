package ai.djl.nestquant.calibration;

import ai.djl.nestquant.linalg.BlockLdl;

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
     * Rounds rows.
     *
     * @param rows W, {@code [count][n]}
     * @param count the number of rows
     * @param code what they are rounded to
     * @param decoded receives Ŵ, {@code [count][n]}
     * @return {@code (w − ŵ)·H·(w − ŵ)ᵀ} of each row
     */
    public double[] round(float[] rows, int count, BlockCode code, float[] decoded) {
        int n = factors.size();
        if (code.width() != factors.width()) {
            throw new IllegalArgumentException(
                    "the code's blocks have %d entries, those of the factors %d"
                            .formatted(code.width(), factors.width()));
        }
        float[] targets = rows.clone();
        float[] errors = new float[count * GROUP];
        double[] losses = new double[count];
        for (int start = (n - 1) / GROUP * GROUP; start >= 0; start -= GROUP) {
            int end = Math.min(n, start + GROUP);
            for (int row = 0; row < count; row++) {
                losses[row] += roundGroup(row, start, end, rows, targets, code, decoded, errors);
            }
            feedBack(start, end, count, errors, targets);
        }
        return losses;
    }

    /** Rounds a group of columns of one row; feedback stays within the group. */
    private double roundGroup(
            int row,
            int start,
            int end,
            float[] rows,
            float[] targets,
            BlockCode code,
            float[] decoded,
            float[] errors) {
        int n = factors.size();
        int width = factors.width();
        float[] block = new float[width];
        double loss = 0;
        for (int column = end - width; column >= start; column -= width) {
            int at = row * n + column;
            code.round(row, column, targets, at, block);
            for (int k = 0; k < width; k++) {
                decoded[at + k] = block[k];
                float error = rows[at + k] - block[k];
                errors[row * GROUP + column - start + k] = error;
                add(targets, row * n + start, error, (column + k) * n + start, column - start);
                block[k] = targets[at + k] - block[k];
            }
            loss += weighted(block, column);
        }
        return loss;
    }

    /** {@code f·D_b·fᵀ}. */
    private double weighted(float[] f, int column) {
        double[] diagonal = factors.diagonal();
        double sum = 0;
        for (int i = 0; i < f.length; i++) {
            for (int j = 0; j < f.length; j++) {
                sum += f[i] * diagonal[(column + i) * f.length + j] * f[j];
            }
        }
        return sum;
    }

    private void add(float[] targets, int to, float error, int from, int length) {
        float[] lower = factors.lower();
        for (int j = 0; j < length; j++) {
            targets[to + j] += error * lower[from + j];
        }
    }

    /** Adds a group's feedback to all columns before it, chunk by chunk. */
    private void feedBack(int start, int end, int count, float[] errors, float[] targets) {
        int n = factors.size();
        for (int chunk = 0; chunk < start; chunk += CHUNK) {
            int length = Math.min(CHUNK, start - chunk);
            for (int row = 0; row < count; row++) {
                for (int k = start; k < end; k += 4) { // all widths are multiples of 4
                    addFour(
                            targets,
                            row * n + chunk,
                            errors,
                            row * GROUP + k - start,
                            k * n + chunk,
                            length);
                }
            }
        }
    }

    private void addFour(float[] targets, int to, float[] errors, int first, int from, int length) {
        float[] lower = factors.lower();
        int n = factors.size();
        float e0 = errors[first];
        float e1 = errors[first + 1];
        float e2 = errors[first + 2];
        float e3 = errors[first + 3];
        for (int j = 0; j < length; j++) {
            targets[to + j] +=
                    e0 * lower[from + j]
                            + e1 * lower[from + n + j]
                            + e2 * lower[from + 2 * n + j]
                            + e3 * lower[from + 3 * n + j];
        }
    }
}
