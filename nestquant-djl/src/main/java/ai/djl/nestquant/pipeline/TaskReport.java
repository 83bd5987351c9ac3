package ai.djl.nestquant.pipeline;

/**
 * How well a model does on a task.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param task the task's name
 * @param examples the number of examples
 * @param acc the share of examples whose right choice has the highest log-likelihood; for LAMBADA
 *     the share of words all of whose tokens are the most probable ones
 * @param accNorm the same with log-likelihoods divided by the characters of the choice; where all
 *     choices are the same text, or there is but one, it is {@code acc}
 * @param stderr the standard error of {@code acc}, {@code √(acc·(1 − acc)/(examples − 1))}; 0 for a
 *     single example
 * @param seconds the time that scoring took, without loading the model
 * @param perplexity {@code exp} of minus the mean log-likelihood of the words; null but for LAMBADA
 */
public record TaskReport(
        String task,
        int examples,
        double acc,
        double accNorm,
        double stderr,
        double seconds,
        Double perplexity) {}
