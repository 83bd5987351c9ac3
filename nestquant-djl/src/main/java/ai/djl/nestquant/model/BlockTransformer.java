package ai.djl.nestquant.model;

import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.calibration.InputFactors;
import ai.djl.nn.Block;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;

/**
 * Maps a block tree to one whose {@link Linear} blocks hold packed lattice codes and whose
 * attention blocks keep their keys and values on codes, as far as the configuration says.
 *
 * <p>Walks {@link SequentialBlock}s and {@link TransformableBlock}s; other blocks are returned as
 * they are. The float weights of a replaced block are freed at once, so the tree that went in must
 * not be used afterwards and peak memory stays below the float tree plus one packed block. Not safe
 * for concurrent use.
 */
public final class BlockTransformer {

    private final QuantizationConfig config;
    private final NDManager manager;

    /**
     * Constructs a transformer.
     *
     * @param config what to code
     * @param manager owns the packed weights
     */
    public BlockTransformer(QuantizationConfig config, NDManager manager) {
        this.config = config;
        this.manager = manager;
    }

    /**
     * Transforms a block tree.
     *
     * @param name the block's name, against which exclusions are matched
     * @param block the block; consumed
     * @return the transformed block
     * @throws IllegalArgumentException if weights are to be rounded with feedback, or a weight is
     *     NaN or infinite
     */
    public Block transform(String name, Block block) {
        return transform(name, block, null);
    }

    /** Transforms a block tree whose inputs have been observed, or not where hessians is null. */
    Block transform(String name, Block block, InputHessians hessians) {
        if (block instanceof Linear linear) {
            return config.quantizes(name) ? replace(name, linear, hessians) : block;
        }
        if (block instanceof RotaryAttention attention && config.codesCache(attention.layer)) {
            return NestQuantAttention.replace(
                    attention,
                    config,
                    manager,
                    (child, b) -> transform(name + "." + child, b, hessians));
        }
        if (block instanceof TransformableBlock composite) {
            return composite.withChildren((child, b) -> transform(name + "." + child, b, hessians));
        }
        if (block instanceof SequentialBlock sequence) {
            SequentialBlock result = new SequentialBlock();
            int index = 0;
            for (Block child : sequence.getChildren().values()) {
                result.add(transform(name + "." + index++, child, hessians));
            }
            return result;
        }
        return block;
    }

    private Block replace(String name, Linear linear, InputHessians hessians) {
        if (config.calibrates() && hessians == null) {
            throw new IllegalArgumentException(
                    "rounding="
                            + config.rounding().key()
                            + " of "
                            + name
                            + " needs a calibration text; give one, or use rounding=plain");
        }
        // 8 bits are so fine that feedback would change nothing
        boolean feedback = config.calibrates() && config.weightBits(name) != Byte.SIZE;
        InputFactors factors = feedback ? hessians.factors(name, linear) : null;
        Block coded =
                config.code().simulated()
                        ? SimulatedLinear.encode(name, linear, config, factors, manager)
                        : NestQuantLinear.encode(name, linear, config, factors, manager);
        linear.clear();
        return coded;
    }
}
