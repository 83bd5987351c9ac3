package ai.djl.nestquant.pipeline;

import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Reproducible rows of independent N(0,1) entries. */
final class GaussianRows {
    private GaussianRows() {}

    /**
     * Draws a matrix; each row has a generator of its own, so the result does not depend on
     * threads.
     *
     * @return [rows·columns]
     */
    static float[] draw(int rows, int columns, long seed) {
        float[] entries = new float[Math.multiplyExact(rows, columns)];
        long[] seeds = new SplittableRandom(seed).longs(rows).toArray();
        IntStream.range(0, rows)
                .parallel()
                .forEach(
                        row -> {
                            SplittableRandom random = new SplittableRandom(seeds[row]);
                            for (int i = 0; i < columns; i++) {
                                entries[row * columns + i] = (float) random.nextGaussian();
                            }
                        });
        return entries;
    }
}
