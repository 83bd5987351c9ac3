package ai.djl.nestquant.model;

import ai.djl.nestquant.checkpoint.ModelConfig;
import java.util.ArrayList;
import java.util.List;

/**
 * The weight of a Linear block in a decoder layer.
 *
 * @param name the block's name in the checkpoint
 * @param out its outputs
 * @param in its inputs
 */
record LinearShape(String name, int out, int in) {

    /** Lists those of all decoder layers, in order. */
    static List<LinearShape> of(ModelConfig config) {
        int hidden = config.hiddenSize();
        int queries = config.heads() * config.headSize();
        int keys = config.kvHeads() * config.headSize();
        int inner = config.intermediateSize();
        List<LinearShape> all = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            String attention = LayerReader.attentionName(i);
            String feedForward = LayerReader.layerName(i) + ".mlp";
            all.add(new LinearShape(attention + ".q_proj", queries, hidden));
            all.add(new LinearShape(attention + ".k_proj", keys, hidden));
            all.add(new LinearShape(attention + ".v_proj", keys, hidden));
            all.add(new LinearShape(attention + ".o_proj", hidden, queries));
            all.add(new LinearShape(feedForward + ".gate_proj", inner, hidden));
            all.add(new LinearShape(feedForward + ".up_proj", inner, hidden));
            all.add(new LinearShape(feedForward + ".down_proj", hidden, inner));
        }
        return all;
    }
}
