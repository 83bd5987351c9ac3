package ai.djl.nestquant.codec;

import java.util.Random;

/** Standard normal test data. */
final class GaussianRows {
    private GaussianRows() {}

    static float[] of(int length, long seed) {
        Random random = new Random(seed);
        float[] x = new float[length];
        for (int i = 0; i < length; i++) {
            x[i] = (float) random.nextGaussian();
        }
        return x;
    }
}
