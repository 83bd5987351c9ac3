package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.nn.core.Linear;
import java.nio.FloatBuffer;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * Mean squares {@code E[x_j²]} of the inputs of {@link Linear} blocks, channel by channel, over all
 * tokens that pass while the statistics travel with the parameter {@link InputObserver#KEY}.
 *
 * <p>Every token counts alike: weighing them by their norms measured worse, KL divergence 0.058
 * against 0.043 for 4-bit activations. Belongs to one pass at a time, not safe for concurrent use.
 */
final class InputStatistics implements InputObserver {

    private final Map<Block, Squares> squares = new IdentityHashMap<>();

    @Override
    public void add(NDArray x, Block... readers) {
        int channels = Math.toIntExact(x.getShape().getLastDimension());
        Squares sums = squares.computeIfAbsent(readers[0], b -> new Squares(channels));
        for (Block reader : readers) {
            squares.put(reader, sums);
        }
        sums.add(x);
    }

    /**
     * Returns the mean squares of a block's inputs.
     *
     * @param block a block that has run
     * @return {@code E[x_j²]}, one number for each channel
     */
    double[] meanSquares(Block block) {
        Squares sums = squares.get(block);
        if (sums == null) {
            throw new IllegalStateException("no input of this block has been observed: " + block);
        }
        return sums.means();
    }

    /** Sums of squares, in double since some channels are a thousand times as large as others. */
    private static final class Squares {

        private final double[] sums;
        private long tokens;

        Squares(int channels) {
            sums = new double[channels];
        }

        void add(NDArray x) {
            FloatBuffer entries = x.toByteBuffer(true).asFloatBuffer();
            float[] token = new float[sums.length];
            while (entries.hasRemaining()) {
                entries.get(token);
                for (int j = 0; j < token.length; j++) {
                    sums[j] += (double) token[j] * token[j];
                }
                tokens++;
            }
        }

        double[] means() {
            double[] means = new double[sums.length];
            for (int j = 0; j < means.length; j++) {
                means[j] = sums[j] / tokens;
            }
            return means;
        }
    }
}
