package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.kernels.LayerKernel;
import java.nio.Buffer;
import java.nio.FloatBuffer;

/**
 * Keys and values in float arrays {@code [batch][kvHeads][capacity][headSize]}, one pair for each
 * layer; the capacity doubles when it is exhausted.
 */
final class FloatKvCache extends KvCache {

    private static final int FIRST_CAPACITY = 64;

    private final NDManager manager;
    private final NDArray[] keys;
    private final NDArray[] values;

    /**
     * Keys and values of each layer as kernels take them, or null since the arrays have changed.
     */
    private final LayerKernel.Cache[] rooms;

    FloatKvCache(NDManager parent, int layers, int maxTokens) {
        super(maxTokens);
        manager = parent.newSubManager();
        manager.setName("kv-cache");
        keys = new NDArray[layers];
        values = new NDArray[layers];
        rooms = new LayerKernel.Cache[layers];
    }

    /** Returns the bytes of a key or value of one head and token. */
    static double bytesPerVector(int headSize) {
        return (double) headSize * Float.BYTES;
    }

    /** {@inheritDoc} */
    @Override
    public long bytes() {
        long bytes = 0;
        for (int layer = 0; layer < keys.length; layer++) {
            if (keys[layer] != null) {
                bytes += WeightSummary.bytes(keys[layer]) + WeightSummary.bytes(values[layer]);
            }
        }
        return bytes;
    }

    /** {@inheritDoc} */
    @Override
    KvCache copy(NDManager parent) {
        FloatKvCache copy = new FloatKvCache(parent, keys.length, maxTokens());
        for (int layer = 0; layer < keys.length; layer++) {
            copy.keys[layer] = copy(keys[layer], copy.manager);
            copy.values[layer] = copy(values[layer], copy.manager);
        }
        return copy;
    }

    private static NDArray copy(NDArray array, NDManager manager) {
        if (array == null) {
            return null;
        }
        NDArray copy = array.duplicate();
        copy.attach(manager);
        return copy;
    }

    /** {@inheritDoc} */
    @Override
    NDList append(int layer, NDArray k, NDArray v) {
        int end = length() + Math.toIntExact(k.getShape().get(2));
        grow(layer, k.getShape(), v.getShape(), end);
        NDIndex slot = tokens(length(), end);
        keys[layer].set(slot, k);
        values[layer].set(slot, v);
        NDIndex all = tokens(0, end);
        return new NDList(
                keys[layer].get(k.getManager(), all), values[layer].get(k.getManager(), all));
    }

    /** {@inheritDoc} */
    @Override
    LayerKernel.Cache room(int layer, int tokens, int kvHeads, int size) {
        int end = length() + tokens;
        if (rooms[layer] == null || rooms[layer].capacity() < end) {
            Shape added = new Shape(1, kvHeads, tokens, size);
            grow(layer, added, added, end);
            int capacity = Math.toIntExact(keys[layer].getShape().get(2));
            Buffer[] slots = {floats(keys[layer]), floats(values[layer])};
            rooms[layer] = new LayerKernel.Cache(slots, capacity);
        }
        return rooms[layer];
    }

    private static FloatBuffer floats(NDArray array) {
        return array.toByteBuffer(true).asFloatBuffer();
    }

    private static NDIndex tokens(int from, int to) {
        return new NDIndex().addAllDim(2).addSliceDim(from, to).addAllDim();
    }

    private void grow(int layer, Shape addedKeys, Shape addedValues, int tokens) {
        NDArray old = keys[layer];
        keys[layer] = withCapacity(old, addedKeys, tokens);
        values[layer] = withCapacity(values[layer], addedValues, tokens);
        if (keys[layer] != old) {
            rooms[layer] = null;
        }
    }

    private NDArray withCapacity(NDArray old, Shape added, int tokens) {
        int capacity = old == null ? 0 : Math.toIntExact(old.getShape().get(2));
        if (old != null) {
            checkBatch(old.getShape().get(0), added.get(0));
        }
        if (tokens <= capacity) {
            return old;
        }
        int grown = Math.max(tokens, Math.max(FIRST_CAPACITY, 2 * capacity));
        Shape shape =
                new Shape(added.get(0), added.get(1), Math.min(maxTokens(), grown), added.get(3));
        NDArray array = manager.create(shape, DataType.FLOAT32);
        if (old != null) {
            array.set(tokens(0, capacity), old);
            old.close();
        }
        return array;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        manager.close();
    }
}
