package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.nn.core.Linear;
import ai.djl.util.PairList;
import java.util.Arrays;

/**
 * Looks at the inputs of {@link Linear} blocks while it travels with the parameter {@link #KEY}.
 */
interface InputObserver {

    String KEY = "nestquant.inputs";

    /** Tells the observer among the parameters, if there is one, that blocks are to run. */
    static void observe(NDArray x, PairList<String, Object> params, Block... blocks) {
        boolean linear = Arrays.stream(blocks).allMatch(Linear.class::isInstance);
        if (params != null && linear && params.get(KEY) != null) {
            ((InputObserver) params.get(KEY)).add(x, blocks);
        }
    }

    /**
     * Adds an input.
     *
     * @param x the input {@code [..., channels]}, float32
     * @param readers the blocks that share it
     */
    void add(NDArray x, Block... readers);
}
