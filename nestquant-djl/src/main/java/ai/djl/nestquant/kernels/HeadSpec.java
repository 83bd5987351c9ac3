package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.FloatBuffer;

/**
 * All that makes logits of the last layer's output: norm, rotation, coding and a product.
 *
 * <p>Buffers are direct, in native order, and outlive the head that is made of them. Immutable as
 * far as its parts are.
 *
 * @param norm γ of the final norm
 * @param epsilon ε of the final norm
 * @param rotation of the normalised state
 * @param activationBits bits of the product's input: 4, 8 or 16
 * @param weight the rows of the vocabulary, rotated
 */
public record HeadSpec(
        FloatBuffer norm,
        float epsilon,
        Rotation rotation,
        int activationBits,
        CodedMatrix weight) {}
