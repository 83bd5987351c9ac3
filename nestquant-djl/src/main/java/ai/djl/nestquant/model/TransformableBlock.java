package ai.djl.nestquant.model;

import ai.djl.nn.Block;
import java.util.function.BiFunction;

/**
 * A composite block that can be built again around other children.
 *
 * <p>DJL's blocks keep their children in private fields, so a tree is transformed by building it
 * anew from the leaves. Composites outside this package take part in {@link BlockTransformer} by
 * implementing this interface.
 */
public interface TransformableBlock extends Block {

    /**
     * Builds this block again around transformed children.
     *
     * @param transform maps a child's name within this block and the child to its replacement
     * @return the new block; this one must not be used any more
     */
    Block withChildren(BiFunction<String, Block, Block> transform);
}
