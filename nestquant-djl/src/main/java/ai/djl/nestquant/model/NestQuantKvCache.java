package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.kernels.LayerKernel;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Keys and values on lattice codes: each rotated head vector is coded when it is appended and stays
 * packed, {@code 4.25 + 8/headSize} bits an entry (NestQuant paper, section 4).
 *
 * <p>Memory grows by segments of {@value #SEGMENT} tokens and nothing is copied. A segment of a
 * layer holds the head vectors {@code [batch · kvHeads][256]}, see {@link CacheSegment}.
 */
final class NestQuantKvCache extends KvCache {

    /** Tokens of a segment; a multiple of the rows of a tile, so heads never share one. */
    static final int SEGMENT = 256;

    private final NDManager manager;
    private final List<List<CacheSegment>> keys = new ArrayList<>();
    private final List<List<CacheSegment>> values = new ArrayList<>();

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
     * Returns the bytes of a key or value of one head and token: a word and the two bits of a
     * ladder index for each block of 8, and the exponent of the vector's scale. The float that the
     * {@code batch · kvHeads · 256} vectors of a segment share is left out.
     */
    static double bytesPerVector(int headSize) {
        int blocks = Rotation.of(headSize, 0).paddedLength() / PackedMatrix.BLOCK;
        return blocks * (Integer.BYTES + 0.25) + 1;
    }

    /** {@inheritDoc} */
    @Override
    public long bytes() {
        long bytes = 0;
        for (List<List<CacheSegment>> side : List.of(keys, values)) {
            for (List<CacheSegment> segments : side) {
                bytes += segments.stream().mapToLong(CacheSegment::bytes).sum();
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
                keys.get(layer).get(i).fill(all, 6 * i);
                values.get(layer).get(i).fill(all, 6 * i + 3);
            }
            slots.set(layer, all);
        }
        return new LayerKernel.Cache(all, SEGMENT);
    }

    private void grow(List<CacheSegment> segments, int end, int size) {
        while (segments.size() * SEGMENT < end) {
            segments.add(CacheSegment.allocate(manager, vectors * SEGMENT, size));
        }
    }

    private NDArray append(List<CacheSegment> segments, NDArray x) {
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

    private void encode(List<CacheSegment> segments, float[] x, int tokens, int size) {
        Parallel.forEach(
                vectors,
                head -> {
                    int done = 0;
                    while (done < tokens) {
                        int position = length() + done;
                        int count = Math.min(tokens - done, SEGMENT - position % SEGMENT);
                        int row = head * SEGMENT + position % SEGMENT;
                        int start = (head * tokens + done) * size;
                        segments.get(position / SEGMENT).encode(row, count, x, start);
                        done += count;
                    }
                });
    }

    private void decode(List<CacheSegment> segments, FloatBuffer panel, int length, int size) {
        for (int head = 0; head < vectors; head++) {
            for (int from = 0; from < length; from += SEGMENT) {
                int count = Math.min(SEGMENT, length - from);
                FloatBuffer part = panel.slice((head * length + from) * size, count * size);
                segments.get(from / SEGMENT).decode(head * SEGMENT, count, part);
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
