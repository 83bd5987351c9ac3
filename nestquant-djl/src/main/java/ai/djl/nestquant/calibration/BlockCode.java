package ai.djl.nestquant.calibration;

/**
 * What rows are rounded to, one block of a fixed width after another; scales of whole rows have
 * been chosen before.
 */
public interface BlockCode {

    /** Returns the entries of a block, a divisor of {@value Ldlq#GROUP}. */
    int width();

    /**
     * Rounds one block.
     *
     * @param row the row, as counted by {@link Ldlq#round}
     * @param column the block's first column
     * @param target holds what is to be rounded
     * @param offset index of its first entry
     * @param decoded receives what it is rounded to, {@link #width} entries
     */
    void round(int row, int column, float[] target, int offset, float[] decoded);
}
