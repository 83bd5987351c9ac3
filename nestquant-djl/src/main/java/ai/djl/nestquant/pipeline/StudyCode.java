package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.codec.RowQuantizer;

/**
 * A code as the studies see it.
 *
 * <p>Immutable and thread-safe.
 *
 * @param family codes that share a line in plots
 * @param code the name without the number of scales, such as {@code 16·E8}
 * @param k the number of scales of the union, 1 for baselines
 * @param unit entries that overload together: 8, or a baseline's group, or the row length
 * @param quantizer how rows are stored
 */
public record StudyCode(String family, String code, int k, int unit, RowQuantizer quantizer) {}
