package ai.djl.nestquant.model;

import ai.djl.nn.Block;
import java.util.ArrayList;
import java.util.List;

/**
 * What became of the weight of one Linear block.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param name where the block stands, such as {@code layer3/mlp/up_proj}
 * @param weights the number of its weights
 * @param bitsPerEntry the bits that a weight takes, scales included
 * @param distortion {@code Σ‖w − ŵ‖² / Σ‖w‖²} over its rows
 * @param simulated true if decoded weights are held in floats and the bits are what they would take
 */
public record CodedLayer(
        String name, long weights, double bitsPerEntry, double distortion, boolean simulated) {

    /**
     * Lists the coded blocks of a tree.
     *
     * @param root the tree
     * @return its coded Linear blocks, in order
     */
    public static List<CodedLayer> of(Block root) {
        List<CodedLayer> layers = new ArrayList<>();
        collect("", root, layers);
        return layers;
    }

    private static void collect(String name, Block block, List<CodedLayer> layers) {
        if (block instanceof NestQuantLinear linear) {
            layers.add(linear.describe(name));
        } else if (block instanceof SimulatedLinear linear) {
            layers.add(linear.describe(name));
        }
        block.getChildren()
                .forEach(
                        child -> {
                            String own = Blocks.ownName(child);
                            String path = name.isEmpty() ? own : name + '/' + own;
                            collect(path, child.getValue(), layers);
                        });
    }
}
