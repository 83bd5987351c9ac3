package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * All that a decoder layer consists of: sizes, norms, coded matrices and rotations.
 *
 * <p>Buffers are direct, in native order, and outlive the layer that is made of them. Immutable as
 * far as its parts are.
 *
 * @param sizes the layer's sizes
 * @param epsilon ε of all norms
 * @param norms γ of the attention norm, the feed-forward norm, and of query and key heads, the last
 *     two null where there is none
 * @param linears query, key, value, output, gate, up and down projections
 * @param rotations of hidden states, mixed values, the feed-forward block's inner vectors, and of
 *     query and key heads
 */
public record LayerSpec(
        Sizes sizes,
        float epsilon,
        List<FloatBuffer> norms,
        List<Linear> linears,
        List<Rotation> rotations) {

    /**
     * Sizes and modes of a layer.
     *
     * @param hidden entries of the hidden state
     * @param heads query heads
     * @param kvHeads key-value heads
     * @param headSize entries of a head vector
     * @param inner entries of the feed-forward block's inner vectors
     * @param window how many tokens a token sees, itself included; 0 for all before it
     * @param activationBits bits of products' inputs: 4, 8 or 16
     * @param codedCache whether keys and values are on 16·E8 codes
     */
    public record Sizes(
            int hidden,
            int heads,
            int kvHeads,
            int headSize,
            int inner,
            int window,
            int activationBits,
            boolean codedCache) {}

    /**
     * A product {@code y = Wx + b}.
     *
     * @param weight W, rotated
     * @param bias b, or null
     */
    public record Linear(PackedMatrix weight, FloatBuffer bias) {}
}
