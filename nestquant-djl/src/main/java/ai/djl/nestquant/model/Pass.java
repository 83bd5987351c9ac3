package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.util.PairList;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.Map;

/**
 * What all layers of one forward pass share: positions, masks and the cache.
 *
 * <p>Travels to the attention blocks as the parameter {@link #KEY}. Belongs to one pass.
 */
final class Pass {

    static final String KEY = "nestquant.pass";

    /** Added to the logits of what must not be seen; finite, so that a row of pads stays finite. */
    private static final float HIDDEN = -1e30f;

    private final NDManager manager;
    private final int[][] positions;
    private final boolean[][] visible;
    private final int past;
    private final int tokens;
    private final Map<Integer, NDArray> masks = new HashMap<>();

    /**
     * Cosines and sines, {@code [batch][tokens][headSize]}; as arrays where blocks ask for them.
     */
    private final float[][] tables;

    private NDArray cos;
    private NDArray sin;
    private FloatBuffer cosines;
    private FloatBuffer sines;

    final KvCache cache;

    /**
     * @param manager owns the arrays of this pass
     * @param rotary the model's rotary embedding
     * @param cache the cache, or null for a pass without one
     * @param tokens the number of new tokens
     * @param attentionMask {@code [batch][past + tokens]}, 0 for padding, or null for none
     */
    Pass(
            NDManager manager,
            RotaryEmbedding rotary,
            KvCache cache,
            int tokens,
            long[][] attentionMask) {
        this.manager = manager;
        this.cache = cache;
        this.tokens = tokens;
        past = cache == null ? 0 : cache.length();
        visible = attentionMask == null ? null : visible(attentionMask, past + tokens);
        positions = attentionMask == null ? consecutive(past, tokens) : counted(past, tokens);
        tables = rotary.tables(positions);
    }

    static Pass of(PairList<String, Object> params) {
        Object pass = params == null ? null : params.get(KEY);
        if (pass == null) {
            throw new IllegalStateException(
                    "attention needs the positions of its tokens: run it through CausalLm.forward");
        }
        return (Pass) pass;
    }

    PairList<String, Object> asParams() {
        PairList<String, Object> params = new PairList<>(1);
        params.add(KEY, this);
        return params;
    }

    /** Tells whether no token is padding. */
    boolean unpadded() {
        return visible == null;
    }

    /** Returns cosines of the positions, {@code [batch or 1][1][tokens][headSize]}. */
    NDArray cos() {
        if (cos == null) {
            cos = array(tables[0]);
        }
        return cos;
    }

    /** Returns sines of the positions, same shape. */
    NDArray sin() {
        if (sin == null) {
            sin = array(tables[1]);
        }
        return sin;
    }

    private NDArray array(float[] table) {
        int batch = positions.length;
        int headSize = table.length / batch / tokens;
        return manager.create(table, new Shape(batch, 1, tokens, headSize));
    }

    /** Returns {@link #cos} for kernels. */
    FloatBuffer cosines() {
        if (cosines == null) {
            cosines = direct(tables[0]);
        }
        return cosines;
    }

    /** Returns {@link #sin} for kernels. */
    FloatBuffer sines() {
        if (sines == null) {
            sines = direct(tables[1]);
        }
        return sines;
    }

    private static FloatBuffer direct(float[] table) {
        return ByteBuffer.allocateDirect(Float.BYTES * table.length)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer()
                .put(table)
                .flip();
    }

    /** Throws unless a mask has an entry for each of {@code length} tokens in every row. */
    static void checkMask(long[][] attentionMask, int length) {
        for (long[] row : attentionMask) {
            if (row.length != length) {
                throw new IllegalArgumentException(
                        "the attention mask has "
                                + row.length
                                + " entries a row, but cache and input hold "
                                + length
                                + " tokens");
            }
        }
    }

    private static boolean[][] visible(long[][] attentionMask, int length) {
        checkMask(attentionMask, length);
        boolean[][] visible = new boolean[attentionMask.length][length];
        for (int b = 0; b < attentionMask.length; b++) {
            for (int i = 0; i < length; i++) {
                visible[b][i] = attentionMask[b][i] != 0;
            }
        }
        return visible;
    }

    private static int[][] consecutive(int past, int tokens) {
        int[][] positions = new int[1][tokens];
        for (int i = 0; i < tokens; i++) {
            positions[0][i] = past + i;
        }
        return positions;
    }

    /** A token's position is the number of visible tokens before it, as HuggingFace counts. */
    private int[][] counted(int past, int tokens) {
        int[][] positions = new int[visible.length][tokens];
        for (int b = 0; b < visible.length; b++) {
            int seen = 0;
            for (int i = 0; i < past + tokens; i++) {
                if (i >= past) {
                    positions[b][i - past] = visible[b][i] ? seen : 1;
                }
                seen += visible[b][i] ? 1 : 0;
            }
        }
        return positions;
    }

    /**
     * Returns what is added to the attention logits, or null where every token sees everything.
     *
     * @param window how many tokens a token sees, itself included; 0 for all before it
     * @return shape {@code [batch or 1][1][tokens][past + tokens]}
     */
    NDArray mask(int window) {
        int length = past + tokens;
        boolean windowed = window > 0 && window < length;
        if (tokens == 1 && visible == null && !windowed) {
            return null;
        }
        return masks.computeIfAbsent(windowed ? window : 0, this::newMask);
    }

    private NDArray newMask(int window) {
        int batch = visible == null ? 1 : visible.length;
        int length = past + tokens;
        float[] mask = new float[Math.multiplyExact(Math.multiplyExact(batch, tokens), length)];
        int at = 0;
        for (int b = 0; b < batch; b++) {
            for (int i = past; i < length; i++) {
                for (int j = 0; j < length; j++) {
                    boolean seen =
                            j <= i
                                    && (window == 0 || j > i - window)
                                    && (visible == null || visible[b][j]);
                    mask[at++] = seen ? 0 : HIDDEN;
                }
            }
        }
        return manager.create(mask, new Shape(batch, 1, tokens, length));
    }
}
