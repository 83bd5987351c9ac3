package ai.djl.nestquant.codec;

/** How a block picks one of the k scales (NestQuant paper, section 4); immutable. */
public enum BetaPolicy {
    /** The smallest β that does not overload. */
    FIRST_FIT,
    /** The β with the least error among those that do not overload. */
    BEST_FIT,
    /**
     * The least error of all: a β that overloads may still serve with a point a little further
     * inside its Voronoi cell, found by shortening the block. 2% less distortion than best-fit,
     * twice the time.
     */
    INNER_FIT
}
