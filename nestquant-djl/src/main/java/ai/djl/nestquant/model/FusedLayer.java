package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.kernels.LayerKernel;
import ai.djl.nestquant.kernels.LayerSpec;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.Block;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/**
 * A decoder layer of packed blocks as one call into native code, which does what the blocks do but
 * for the order in which floats are summed.
 *
 * <p>Its rotations are freed with the manager that owns the layer's weights. Stateless after
 * construction and therefore safe for concurrent use.
 */
final class FusedLayer {

    private final LayerKernel kernel;
    private final LayerSpec.Sizes sizes;
    private final int layer;
    private final int vectorSize;
    private final NestQuantLinear query;

    private FusedLayer(LayerKernel kernel, LayerSpec spec, int layer, NestQuantLinear query) {
        this.kernel = kernel;
        this.layer = layer;
        this.query = query;
        sizes = spec.sizes();
        vectorSize = sizes.codedCache() ? spec.rotations().get(3).paddedLength() : sizes.headSize();
    }

    /**
     * Fuses a layer's blocks.
     *
     * @return the layer, or null where a block is not packed, an attention block keeps more than
     *     one basis, or this machine's kernels have no such call
     */
    static FusedLayer of(Block attentionNorm, Block attention, Block feedForwardNorm, Block inner) {
        if (!(attentionNorm instanceof RmsNorm first)
                || !(feedForwardNorm instanceof RmsNorm second)
                || !(attention instanceof RotaryAttention a)
                || !(inner instanceof SwiGlu gated)
                || !a.fusible()) {
            return null;
        }
        List<NestQuantLinear> linears = new ArrayList<>();
        for (Block block :
                Arrays.asList(
                        a.query, a.key, a.value, a.output, gated.gate, gated.up, gated.down)) {
            if (!(block instanceof NestQuantLinear linear) || linear.spec() == null) {
                return null;
            }
            linears.add(linear);
        }
        LayerSpec spec = spec(a, first, second, linears);
        LayerKernel kernel = Kernels.best().layer(spec);
        if (kernel == null) {
            return null;
        }
        NDManager owner = linears.get(0).words().getManager();
        owner.attachInternal("fused layer " + UUID.randomUUID(), kernel);
        return new FusedLayer(kernel, spec, a.layer, linears.get(0));
    }

    private static LayerSpec spec(
            RotaryAttention attention,
            RmsNorm attentionNorm,
            RmsNorm feedForwardNorm,
            List<NestQuantLinear> linears) {
        ModelConfig config = attention.config;
        boolean coded = attention instanceof NestQuantAttention;
        LayerSpec.Sizes sizes =
                new LayerSpec.Sizes(
                        config.hiddenSize(),
                        config.heads(),
                        config.kvHeads(),
                        config.headSize(),
                        config.intermediateSize(),
                        config.slidingWindow(attention.layer),
                        linears.get(0).activationBits(),
                        coded);
        List<FloatBuffer> norms =
                Arrays.asList(
                        attentionNorm.gamma(),
                        feedForwardNorm.gamma(),
                        gamma(attention.queryNorm),
                        gamma(attention.keyNorm));
        List<Rotation> rotations =
                List.of(
                        linears.get(0).rotation(),
                        linears.get(3).rotation(),
                        linears.get(6).rotation(),
                        attention instanceof NestQuantAttention rotated
                                ? rotated.headRotation()
                                : Rotation.none(config.headSize()));
        return new LayerSpec(
                sizes,
                (float) config.rmsNormEps(),
                norms,
                linears.stream().map(NestQuantLinear::spec).toList(),
                rotations);
    }

    private static FloatBuffer gamma(Block norm) {
        return norm == null ? null : ((RmsNorm) norm).gamma();
    }

    /** Tells whether a pass is one sequence without padding, with a cache of this layer's kind. */
    boolean takes(Pass pass, NDArray x) {
        return !StageClock.isRunning() // which tells the blocks' stages apart
                && pass.unpadded()
                && x.getShape().get(0) == 1
                && pass.cache != null
                && sizes.codedCache() == pass.cache instanceof NestQuantKvCache;
    }

    /**
     * Runs layers in turn, and the last token through the head if there is one, in one call.
     *
     * @param layers the layers
     * @param head makes logits of the last token; null for none
     * @param pass the pass, which each of them {@link #takes}
     * @param h hidden states {@code [1][tokens][hidden]}, replaced by the last layer's output
     * @return h, or with a head the logits {@code [1][1][vocabulary]}
     */
    static NDArray run(List<FusedLayer> layers, FusedHead head, Pass pass, NDArray h) {
        int tokens = Math.toIntExact(h.getShape().get(1));
        List<LayerKernel> kernels = new ArrayList<>(layers.size());
        List<LayerKernel.Cache> caches = new ArrayList<>(layers.size());
        for (FusedLayer layer : layers) {
            layer.query.checkOpen();
            kernels.add(layer.kernel);
            int kvHeads = layer.sizes.kvHeads();
            caches.add(pass.cache.room(layer.layer, tokens, kvHeads, layer.vectorSize));
        }
        LayerKernel.Tokens states =
                new LayerKernel.Tokens(
                        h.toByteBuffer(true).asFloatBuffer(),
                        tokens,
                        pass.cache.length(),
                        pass.cosines(),
                        pass.sines());
        if (head == null) {
            Kernels.best().run(kernels, states, caches);
            return h;
        }
        NDArray logits = head.newLogits(h.getManager());
        FloatBuffer to = logits.toByteBuffer(true).asFloatBuffer();
        Kernels.best().run(kernels, states, caches, head.kernel(), to);
        return logits;
    }
}
