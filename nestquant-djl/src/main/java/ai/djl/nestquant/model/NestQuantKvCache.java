package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.kernels.LayerKernel;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Keys and values on lattice codes: each rotated head vector is coded when it is appended and stays
 * packed, {@code 4.375 + 8/headSize} bits an entry (NestQuant paper, section 4).
 *
 * <p>Memory grows by segments of {@value #SEGMENT} tokens and nothing is copied. A segment of a
 * layer is one packed matrix whose rows are the head vectors, {@code [batch · kvHeads][256]}.
 */
final class NestQuantKvCache extends KvCache {

    /** Tokens of a segment; a multiple of the rows of a tile, so heads never share one. */
    static final int SEGMENT = 256;

    /**
     * Scale exponents reach down 21 octaves from here: any block of 8 entries up to norm 1792 is
     * covered, and Gaussian vectors down to a standard deviation of 2e-4 keep their relative error.
     */
    private static final float TENSOR_SCALE = 16f;

    /** The better of the 4-bit codes: keys make the cache's error, and no weights are read here. */
    private static final PackedCode CODE = PackedCode.E8_16;

    private final NDManager manager;
    private final List<List<PackedArrays>> keys = new ArrayList<>();
    private final List<List<PackedArrays>> values = new ArrayList<>();

    /** Buffers of all segments, for each layer; see {@link LayerKernel.Cache}. */
    private final List<Buffer[]> slots = new ArrayList<>();

    private int vectors;

    NestQuantKvCache(NDManager parent, int layers, int maxTokens) {
        super(maxTokens);
        manager = parent.newSubManager();
        manager.setName("coded kv-cache");
        for (int layer = 0; layer < layers; layer++) {
            keys.add(new ArrayList<>());
            values.add(new ArrayList<>());
            slots.add(new Buffer[0]);
        }
    }

    /**
     * Returns the bytes of a key or value of one head and token: a word and the three bits of an
     * index for each block of 8, and the exponent of the vector's scale. The float that the {@code
     * batch · kvHeads · 256} vectors of a segment share is left out.
     */
    static double bytesPerVector(int headSize) {
        int blocks = Rotation.of(headSize, 0).paddedLength() / PackedMatrix.BLOCK;
        return blocks * (Integer.BYTES + 3.0 / Byte.SIZE) + 1;
    }

    /** {@inheritDoc} */
    @Override
    public long bytes() {
        long bytes = 0;
        for (List<List<PackedArrays>> side : List.of(keys, values)) {
            for (List<PackedArrays> segments : side) {
                bytes += segments.stream().mapToLong(PackedArrays::bytes).sum();
            }
        }
        return bytes;
    }

    /** {@inheritDoc} */
    @Override
    KvCache copy(NDManager parent) {
        NestQuantKvCache copy = new NestQuantKvCache(parent, keys.size(), maxTokens());
        copy.vectors = vectors;
        for (int layer = 0; layer < keys.size(); layer++) {
            for (int i = 0; i < keys.get(layer).size(); i++) {
                copy.keys.get(layer).add(keys.get(layer).get(i).copy(copy.manager));
                copy.values.get(layer).add(values.get(layer).get(i).copy(copy.manager));
            }
        }
        return copy;
    }

    /** {@inheritDoc} */
    @Override
    NDList append(int layer, NDArray k, NDArray v) {
        return new NDList(append(keys.get(layer), k), append(values.get(layer), v));
    }

    /** {@inheritDoc} */
    @Override
    LayerKernel.Cache room(int layer, int tokens, int kvHeads, int size) {
        checkBatch(vectors == 0 ? kvHeads : vectors, kvHeads);
        vectors = kvHeads;
        grow(keys.get(layer), length() + tokens, size);
        grow(values.get(layer), length() + tokens, size);
        int segments = keys.get(layer).size();
        Buffer[] all = slots.get(layer);
        if (all.length != 6 * segments) {
            all = new Buffer[6 * segments];
            for (int i = 0; i < segments; i++) {
                fill(all, 6 * i, keys.get(layer).get(i).matrix());
                fill(all, 6 * i + 3, values.get(layer).get(i).matrix());
            }
            slots.set(layer, all);
        }
        return new LayerKernel.Cache(all, SEGMENT);
    }

    private static void fill(Buffer[] slots, int at, PackedMatrix matrix) {
        slots[at] = matrix.words();
        slots[at + 1] = matrix.betas();
        slots[at + 2] = matrix.rowScales();
    }

    private void grow(List<PackedArrays> segments, int end, int size) {
        while (segments.size() * SEGMENT < end) {
            segments.add(
                    PackedArrays.allocate(manager, CODE, vectors * SEGMENT, size, TENSOR_SCALE));
        }
    }

    private NDArray append(List<PackedArrays> segments, NDArray x) {
        Shape shape = x.getShape();
        int tokens = Math.toIntExact(shape.get(2));
        int size = Math.toIntExact(shape.get(3));
        int given = Math.toIntExact(shape.get(0) * shape.get(1));
        checkBatch(vectors == 0 ? given : vectors, given);
        vectors = given;
        int end = length() + tokens;
        grow(segments, end, size);
        encode(segments, x.toFloatArray(), tokens, size);
        Shape all = new Shape(shape.get(0), shape.get(1), end, size);
        NDArray panel = x.getManager().create(all, DataType.FLOAT32);
        decode(segments, panel.toByteBuffer(true).asFloatBuffer(), end, size);
        return panel;
    }

    private void encode(List<PackedArrays> segments, float[] x, int tokens, int size) {
        Parallel.forEach(
                vectors,
                head -> {
                    for (int t = 0; t < tokens; t++) {
                        int position = length() + t;
                        PackedArrays segment = segments.get(position / SEGMENT);
                        int row = head * SEGMENT + position % SEGMENT;
                        int start = (head * tokens + t) * size;
                        Kernels.best()
                                .encodeRows(
                                        segment.matrix(),
                                        row,
                                        row + 1,
                                        x,
                                        start,
                                        new DistortionStats());
                    }
                });
    }

    private void decode(List<PackedArrays> segments, FloatBuffer panel, int length, int size) {
        for (int head = 0; head < vectors; head++) {
            for (int from = 0; from < length; from += SEGMENT) {
                int count = Math.min(SEGMENT, length - from);
                FloatBuffer part = panel.slice((head * length + from) * size, count * size);
                int row = head * SEGMENT;
                Kernels.best()
                        .decodeRows(segments.get(from / SEGMENT).matrix(), row, row + count, part);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
