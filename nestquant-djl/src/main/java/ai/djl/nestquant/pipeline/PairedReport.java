package ai.djl.nestquant.pipeline;

/**
 * A model against a reference on the same tokens, with confidence intervals by batch means of 128
 * neighbouring tokens (a batch never spans two windows).
 *
 * <p>The gap's interval comes from the differences of the tokens' losses, the reference's
 * perplexity being taken as given, and is much narrower than the perplexity's own, which is
 * dominated by how hard the tokens are for any model. Ends of intervals are null where there are
 * fewer than 4 batches. Immutable and safe for concurrent use.
 *
 * @param level the intervals' level, 0.95
 * @param batches the number of batches
 * @param perplexityLow lower end of the perplexity's interval
 * @param perplexityHigh upper end of the perplexity's interval
 * @param referencePerplexity the reference's perplexity
 * @param gap perplexity above the reference's
 * @param gapLow lower end of the gap's interval
 * @param gapHigh upper end of the gap's interval
 * @param klLow lower end of the divergence's interval, nats per predicted token
 * @param klHigh upper end of the divergence's interval
 */
public record PairedReport(
        double level,
        long batches,
        Double perplexityLow,
        Double perplexityHigh,
        double referencePerplexity,
        double gap,
        Double gapLow,
        Double gapHigh,
        Double klLow,
        Double klHigh) {}
