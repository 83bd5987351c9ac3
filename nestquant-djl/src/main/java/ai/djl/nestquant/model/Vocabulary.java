package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;

/**
 * The matrix {@code [vocabulary][hidden]} of an embedding, of an output head, or of both where they
 * are tied. As a block it is the head, hidden states {@code [..., hidden]} to logits {@code [...,
 * vocabulary]}.
 */
interface Vocabulary extends Block {

    /**
     * Looks up embedding rows.
     *
     * @param store where parameters are taken from
     * @param ids token ids {@code [batch][tokens]}, int64, all within the vocabulary
     * @return {@code [batch][tokens][hidden]}, attached to the manager of {@code ids}
     */
    NDArray embed(ParameterStore store, NDArray ids);
}
