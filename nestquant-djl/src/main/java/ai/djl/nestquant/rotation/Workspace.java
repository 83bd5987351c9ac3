package ai.djl.nestquant.rotation;

/**
 * Scratch arrays of a {@link Rotation}, so that rotating a row allocates nothing.
 *
 * <p>Not thread-safe: every thread needs its own, from {@link Rotation#newWorkspace()}.
 */
public final class Workspace {

    /** [2·size], the operand of circulants, stored twice in a row. */
    final float[] doubled;

    /** [size], what circulants add to. */
    final float[] sum;

    /** [4][size], the operand shifted by the taps at hand. */
    final float[][] windows;

    Workspace(int size) {
        doubled = new float[2 * size];
        sum = new float[size];
        windows = new float[4][size];
    }
}
