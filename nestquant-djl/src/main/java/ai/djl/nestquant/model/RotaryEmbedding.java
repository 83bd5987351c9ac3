package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.checkpoint.RopeConfig;

/**
 * Rotary positions (RoPE) in the half-split layout of HuggingFace checkpoints.
 *
 * <p>Entry {@code i < headSize/2} of a head vector and entry {@code i + headSize/2} form a pair
 * that turns by {@code position · frequency_i}. Angles are formed in float as the reference
 * implementations do. Immutable and safe for concurrent use.
 */
final class RotaryEmbedding {

    private final float[] frequencies;

    RotaryEmbedding(ModelConfig config) {
        int half = config.headSize() / 2;
        RopeConfig rope = config.rope();
        frequencies = new float[half];
        for (int i = 0; i < half; i++) {
            double frequency = Math.pow(rope.theta(), -2.0 * i / config.headSize());
            frequencies[i] = (float) scaled(frequency, rope);
        }
    }

    private static double scaled(double frequency, RopeConfig rope) {
        return switch (rope.type()) {
            case DEFAULT -> frequency;
            case LINEAR -> frequency / rope.factor();
            case LLAMA3 -> llama3(frequency, rope);
        };
    }

    /** Long waves are stretched by the factor, short ones kept, those between interpolated. */
    private static double llama3(double frequency, RopeConfig rope) {
        double wavelength = 2 * Math.PI / frequency;
        double original = rope.originalMaxPositions();
        if (wavelength < original / rope.highFreqFactor()) {
            return frequency;
        }
        if (wavelength > original / rope.lowFreqFactor()) {
            return frequency / rope.factor();
        }
        double smooth =
                (original / wavelength - rope.lowFreqFactor())
                        / (rope.highFreqFactor() - rope.lowFreqFactor());
        return (1 - smooth) * frequency / rope.factor() + smooth * frequency;
    }

    /**
     * Returns cosines and sines for positions.
     *
     * @param positions {@code [batch][tokens]}, batch may be 1 for all
     * @return cosines and sines, each {@code [batch][tokens][headSize]}
     */
    float[][] tables(int[][] positions) {
        int half = frequencies.length;
        int tokens = positions[0].length;
        float[] cos = new float[positions.length * tokens * 2 * half];
        float[] sin = new float[cos.length];
        int at = 0;
        for (int[] row : positions) {
            for (int position : row) {
                for (int i = 0; i < half; i++) {
                    float angle = position * frequencies[i];
                    float c = (float) Math.cos(angle);
                    float s = (float) Math.sin(angle);
                    cos[at + i] = c;
                    cos[at + half + i] = c;
                    sin[at + i] = s;
                    sin[at + half + i] = s;
                }
                at += 2 * half;
            }
        }
        return new float[][] {cos, sin};
    }

    /**
     * Turns head vectors.
     *
     * @param x {@code [batch][heads][tokens][headSize]}
     * @param cos cosines {@code [batch or 1][1][tokens][headSize]}
     * @param sin their sines
     * @return the turned vectors, same shape as x
     */
    static NDArray apply(NDArray x, NDArray cos, NDArray sin) {
        NDList halves = x.split(2, 3);
        NDArray turned = NDArrays.concat(new NDList(halves.get(1).neg(), halves.get(0)), 3);
        return x.mul(cos).addi(turned.muli(sin));
    }
}
