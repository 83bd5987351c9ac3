package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.kernels.HeadKernel;
import ai.djl.nestquant.kernels.HeadSpec;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.Block;
import java.util.UUID;

/**
 * Final norm and coded output head as one call into native code, for one token; it does what the
 * blocks do but for the order in which floats are summed.
 *
 * <p>Its rotation is freed with the manager that owns the head's weights. Stateless after
 * construction and therefore safe for concurrent use.
 */
final class FusedHead {

    private final HeadKernel kernel;
    private final int vocabulary;

    private FusedHead(HeadKernel kernel, int vocabulary) {
        this.kernel = kernel;
        this.vocabulary = vocabulary;
    }

    /**
     * Fuses the blocks behind the last layer.
     *
     * @param norm the final norm
     * @param head hidden to vocabulary
     * @return both in one, or null where a block is not coded or has a bias, or this machine's
     *     kernels have no such call
     */
    static FusedHead of(Block norm, Block head) {
        if (norm instanceof RmsNorm first && head instanceof CodedVocabulary coded) {
            return of(first, coded.rotation(), coded.activationBits(), coded.codes());
        }
        if (norm instanceof RmsNorm first
                && head instanceof NestQuantLinear linear
                && !linear.getDirectParameters().contains("bias")) {
            return of(first, linear.rotation(), linear.activationBits(), linear.codes());
        }
        return null;
    }

    private static FusedHead of(
            RmsNorm norm, Rotation rotation, int activationBits, CodedArrays codes) {
        HeadKernel kernel =
                Kernels.best()
                        .head(
                                new HeadSpec(
                                        norm.gamma(),
                                        norm.epsilon(),
                                        rotation,
                                        activationBits,
                                        codes.matrix()));
        if (kernel == null) {
            return null;
        }
        NDManager owner = codes.words().getManager();
        owner.attachInternal("fused head " + UUID.randomUUID(), kernel);
        return new FusedHead(kernel, codes.rows());
    }

    /** Returns what kernels take. */
    HeadKernel kernel() {
        return kernel;
    }

    /** Makes room for the logits of one token, {@code [1][1][vocabulary]}. */
    NDArray newLogits(NDManager manager) {
        return manager.create(new Shape(1, 1, vocabulary), DataType.FLOAT32);
    }
}
