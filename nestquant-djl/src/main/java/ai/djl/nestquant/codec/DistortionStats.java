package ai.djl.nestquant.codec;

/**
 * How far decoded rows are from what was encoded: an accumulator, one per thread, merged at the
 * end.
 *
 * <p>Not thread-safe.
 */
public final class DistortionStats {
    private double squaredError;
    private double squaredNorm;
    private double sumOfRowErrors;
    private double worstRowError;
    private long rows;
    private long blocks;
    private long overloadedBlocks;

    /**
     * Adds one row.
     *
     * @param error its squared error
     * @param norm its squared norm; a zero row counts as error 0
     * @param blockCount its blocks of eight
     * @param overloads how many of them overloaded every β
     */
    public void addRow(double error, double norm, int blockCount, int overloads) {
        double relative = norm == 0 ? 0 : error / norm;
        squaredError += error;
        squaredNorm += norm;
        sumOfRowErrors += relative;
        worstRowError = Math.max(worstRowError, relative);
        rows++;
        blocks += blockCount;
        overloadedBlocks += overloads;
    }

    /**
     * Adds everything another accumulator has seen.
     *
     * @param other the other accumulator, unchanged
     */
    public void merge(DistortionStats other) {
        squaredError += other.squaredError;
        squaredNorm += other.squaredNorm;
        sumOfRowErrors += other.sumOfRowErrors;
        worstRowError = Math.max(worstRowError, other.worstRowError);
        rows += other.rows;
        blocks += other.blocks;
        overloadedBlocks += other.overloadedBlocks;
    }

    /** Returns Σ‖x − x̂‖² / Σ‖x‖² over all rows. */
    public double relativeError() {
        return squaredNorm == 0 ? 0 : squaredError / squaredNorm;
    }

    /** Returns the mean over rows of ‖x − x̂‖² / ‖x‖². */
    public double meanRowError() {
        return rows == 0 ? 0 : sumOfRowErrors / rows;
    }

    /** Returns the largest ‖x − x̂‖² / ‖x‖² of a row. */
    public double worstRowError() {
        return worstRowError;
    }

    /** Returns the number of rows. */
    public long rows() {
        return rows;
    }

    /** Returns the number of blocks of eight entries. */
    public long blocks() {
        return blocks;
    }

    /** Returns how many blocks overloaded every β and were shortened. */
    public long overloadedBlocks() {
        return overloadedBlocks;
    }

    @Override
    public String toString() {
        return String.format(
                "relative error %.5f, rows: mean %.5f, worst %.5f; %d of %d blocks overloaded",
                relativeError(), meanRowError(), worstRowError, overloadedBlocks, blocks);
    }
}
