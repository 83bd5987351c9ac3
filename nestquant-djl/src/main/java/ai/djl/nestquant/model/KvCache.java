package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;

/**
 * The keys and values of the tokens seen so far, one pair of float arrays for each layer.
 *
 * <p>Each array has the shape {@code [batch][kvHeads][capacity][headSize]}; the capacity doubles
 * when it is exhausted, up to the fixed maximum. A cache belongs to one sequence (or one batch of
 * sequences) and one thread at a time; closing it frees its native memory.
 */
public final class KvCache implements AutoCloseable {

    private static final int FIRST_CAPACITY = 64;

    private final NDManager manager;
    private final int heads;
    private final int headSize;
    private final int maxTokens;
    private final NDArray[] keys;
    private final NDArray[] values;
    private int length;

    /**
     * Creates an empty cache.
     *
     * @param config the model's configuration
     * @param manager the parent of the arrays
     * @param maxTokens the most tokens the cache may hold
     */
    public KvCache(ModelConfig config, NDManager manager, int maxTokens) {
        this.manager = manager.newSubManager();
        this.manager.setName("kv-cache");
        this.maxTokens = maxTokens;
        heads = config.kvHeads();
        headSize = config.headSize();
        keys = new NDArray[config.layers()];
        values = new NDArray[config.layers()];
    }

    /**
     * Returns the number of tokens held.
     *
     * @return the number of tokens held
     */
    public int length() {
        return length;
    }

    /**
     * Returns the most tokens this cache may hold.
     *
     * @return the most tokens this cache may hold
     */
    public int maxTokens() {
        return maxTokens;
    }

    /**
     * Returns the bytes of native memory allocated for keys and values.
     *
     * @return the bytes allocated
     */
    public long bytes() {
        long bytes = 0;
        for (int layer = 0; layer < keys.length; layer++) {
            if (keys[layer] != null) {
                bytes += (keys[layer].size() + values[layer].size()) * Float.BYTES;
            }
        }
        return bytes;
    }

    /** Checks that {@code tokens} more fit; called once for a pass, before any layer appends. */
    void reserve(int tokens) {
        if (length + (long) tokens > maxTokens) {
            throw new IllegalStateException(
                    "the KV cache holds "
                            + length
                            + " tokens and "
                            + tokens
                            + " more exceed its maximum of "
                            + maxTokens
                            + "; shorten the prompt or generate fewer tokens");
        }
    }

    /**
     * Appends one layer's keys and values and returns all of that layer's.
     *
     * @param layer the layer
     * @param k new keys {@code [batch][kvHeads][tokens][headSize]}
     * @param v new values, same shape
     * @return keys and values of all tokens, views attached to {@code k}'s manager
     */
    NDList append(int layer, NDArray k, NDArray v) {
        int tokens = Math.toIntExact(k.getShape().get(2));
        int end = length + tokens;
        keys[layer] = withCapacity(keys[layer], k.getShape().get(0), end);
        values[layer] = withCapacity(values[layer], k.getShape().get(0), end);
        NDIndex slot = tokens(length, end);
        keys[layer].set(slot, k);
        values[layer].set(slot, v);
        NDIndex all = tokens(0, end);
        NDArray allKeys = keys[layer].get(k.getManager(), all);
        NDArray allValues = values[layer].get(k.getManager(), all);
        return new NDList(allKeys, allValues);
    }

    /** Counts tokens as held once every layer has appended them. */
    void advance(int tokens) {
        length += tokens;
    }

    private static NDIndex tokens(int from, int to) {
        return new NDIndex().addAllDim(2).addSliceDim(from, to).addAllDim();
    }

    private NDArray withCapacity(NDArray old, long batch, int tokens) {
        int capacity = old == null ? 0 : Math.toIntExact(old.getShape().get(2));
        if (old != null && old.getShape().get(0) != batch) {
            throw new IllegalStateException(
                    "the KV cache holds a batch of "
                            + old.getShape().get(0)
                            + " sequences and was given "
                            + batch);
        }
        if (tokens <= capacity) {
            return old;
        }
        int grown = Math.min(maxTokens, Math.max(tokens, Math.max(FIRST_CAPACITY, 2 * capacity)));
        NDArray array = manager.create(new Shape(batch, heads, grown, headSize), DataType.FLOAT32);
        if (old != null) {
            array.set(tokens(0, capacity), old);
            old.close();
        }
        return array;
    }

    /** Frees the arrays. */
    @Override
    public void close() {
        manager.close();
    }
}
