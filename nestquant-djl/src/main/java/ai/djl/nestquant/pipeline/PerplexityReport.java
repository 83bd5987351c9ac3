package ai.djl.nestquant.pipeline;

/**
 * How well a model predicts a text.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param perplexity {@code exp} of the mean negative log-likelihood of the predicted tokens
 * @param tokens the tokens in the scored windows; the first of each window is not predicted
 * @param windows the number of scored windows
 * @param bitsPerWeight bits that a coded weight is stored in, scales included; 32 where none is
 * @param seconds the time that scoring took, without loading the model
 * @param klDivergence nats per predicted token from a reference model, {@code D(P ‖ Q)} with P the
 *     reference's distribution; null where there is none
 * @param top1Agreement the share of predicted tokens for which both find the same token the most
 *     probable, in [0, 1]; null where there is no reference
 * @param paired the differences from the reference with confidence intervals; null where there is
 *     none
 */
public record PerplexityReport(
        double perplexity,
        long tokens,
        int windows,
        double bitsPerWeight,
        double seconds,
        Double klDivergence,
        Double top1Agreement,
        PairedReport paired) {}
