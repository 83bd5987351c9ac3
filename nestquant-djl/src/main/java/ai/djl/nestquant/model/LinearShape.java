package ai.djl.nestquant.model;

import ai.djl.nestquant.checkpoint.ModelConfig;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

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

    /**
     * Throws if a quantization names blocks that the model does not have.
     *
     * @throws IllegalArgumentException naming the part that would do nothing
     */
    static void checkNames(ModelConfig config, QuantizationConfig quantization) {
        Set<String> linears = new HashSet<>();
        of(config).forEach(linear -> linears.add(linear.name()));
        if (!config.tiedEmbeddings() && quantization.head() == QuantizationConfig.Head.W4) {
            linears.add(LayerReader.HEAD);
        }
        Set<String> all = new HashSet<>(linears);
        all.addAll(List.of(LayerReader.EMBEDDING, LayerReader.HEAD));
        for (int i = 0; i < config.layers(); i++) {
            all.add(LayerReader.attentionName(i));
        }
        quantization.excluded().forEach(pattern -> requireMatch("exclude", pattern, all));
        quantization.only().forEach(pattern -> requireMatch("only", pattern, all));
        for (QuantizationConfig.Width width : quantization.widths()) {
            requireMatch("w" + width.bits(), width.pattern(), linears);
        }
    }

    private static void requireMatch(String part, String pattern, Set<String> names) {
        if (names.stream().noneMatch(name -> QuantizationConfig.matches(pattern, name))) {
            throw new IllegalArgumentException(
                    String.format(
                            "%s=%s names no block of this model that it could apply to; names are"
                                    + " such as model.layers.0.mlp.down_proj and lm_head, and *"
                                    + " matches anything",
                            part, pattern));
        }
    }
}
