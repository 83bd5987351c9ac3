package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;

/** What a model predicts for the windows of a text. */
@FunctionalInterface
interface WindowLogits {

    /**
     * Returns logits.
     *
     * @param ids the tokens of neighbouring windows, {@code [windows][tokens]}, int64
     * @param first the number of the first of them
     * @return {@code [windows][tokens][vocabulary]}, float32, to be closed by the caller
     */
    NDArray of(NDArray ids, int first);
}
