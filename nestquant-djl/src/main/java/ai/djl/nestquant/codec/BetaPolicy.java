package ai.djl.nestquant.codec;

/** How a block picks one of the k scales (NestQuant paper, section 4); immutable. */
public enum BetaPolicy {
    /** The smallest β that does not overload. */
    FIRST_FIT,
    /** The β with the least error among those that do not overload. */
    BEST_FIT
}
