package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.kernels.LayerKernel;
import java.util.BitSet;

/**
 * Keys and values of which those of some layers are on lattice codes and those of the others floats
 * ({@code only=NAME}).
 */
final class MixedKvCache extends KvCache {

    private final BitSet codedLayers;
    private final KvCache coded;
    private final KvCache exact;

    MixedKvCache(NDManager parent, BitSet codedLayers, int layers, int maxTokens) {
        this(
                codedLayers,
                new NestQuantKvCache(parent, layers, maxTokens),
                new FloatKvCache(parent, layers, maxTokens));
    }

    private MixedKvCache(BitSet codedLayers, KvCache coded, KvCache exact) {
        super(coded.maxTokens());
        this.codedLayers = codedLayers;
        this.coded = coded;
        this.exact = exact;
    }

    private KvCache of(int layer) {
        return codedLayers.get(layer) ? coded : exact;
    }

    /** {@inheritDoc} */
    @Override
    public long bytes() {
        return coded.bytes() + exact.bytes();
    }

    /** {@inheritDoc} */
    @Override
    public void reset() {
        super.reset();
        coded.reset();
        exact.reset();
    }

    /** {@inheritDoc} */
    @Override
    KvCache copy(NDManager parent) {
        return new MixedKvCache(codedLayers, coded.fork(parent), exact.fork(parent));
    }

    /** {@inheritDoc} */
    @Override
    NDList append(int layer, NDArray k, NDArray v) {
        return of(layer).append(layer, k, v);
    }

    /** {@inheritDoc} */
    @Override
    LayerKernel.Cache room(int layer, int tokens, int kvHeads, int size) {
        return of(layer).room(layer, tokens, kvHeads, size);
    }

    /** {@inheritDoc} */
    @Override
    void advance(int tokens) {
        super.advance(tokens);
        coded.advance(tokens);
        exact.advance(tokens);
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        coded.close();
        exact.close();
    }
}
