package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.model.CodedLayer;
import ai.djl.nestquant.model.QuantizationConfig;
import java.util.List;
import java.util.Locale;

/**
 * One method of a comparison, measured against the float model.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param method the quantization's text form
 * @param calibration the text that it was calibrated for, null for the one that ships with the
 *     library or where none is needed
 * @param regime what is coded: {@code float}, {@code W}, {@code W+KV}, {@code W+A+KV} and so on, A8
 *     for int8 activations
 * @param simulated true if decoded values are held in floats; bits and bytes are then what they
 *     would take, and speed and memory are not given
 * @param bitsPerWeight bits of a coded weight, scales included; 32 where none is coded
 * @param bitsPerCacheEntry bits of an entry of a key or value, scales included; 32 for floats
 * @param weightBytes the bytes of all weights, coded or not
 * @param perplexity the perplexity
 * @param gap perplexity above the float model's
 * @param gapLow lower end of its paired 95% interval, null with too few tokens
 * @param gapHigh upper end
 * @param klDivergence nats per predicted token from the float model
 * @param klLow lower end of its 95% interval
 * @param klHigh upper end
 * @param top1Agreement the share of tokens for which both find the same successor most probable
 * @param gapRemoved the share of the gap of rotated int4 in the same regime that this method does
 *     not have, null where there is no such row
 * @param klRemoved the same of the divergence
 * @param prefillTokensPerSecond the speed of reading a prompt of 400 characters, null if it was not
 *     measured
 * @param stepTokensPerSecond the speed of the tokens generated after it, or null
 * @param peakResidentBytes the most memory the process held while it loaded the model and
 *     generated, or null
 * @param quantizationSeconds the time to load and quantise the model, calibration included; null if
 *     times were not measured
 * @param scoringSeconds the time to score the windows, both models
 * @param kernels what computes products with the coded weights
 * @param layers the coded Linear blocks
 */
public record ComparisonRow(
        String method,
        String calibration,
        String regime,
        boolean simulated,
        double bitsPerWeight,
        double bitsPerCacheEntry,
        long weightBytes,
        double perplexity,
        double gap,
        Double gapLow,
        Double gapHigh,
        double klDivergence,
        Double klLow,
        Double klHigh,
        double top1Agreement,
        Double gapRemoved,
        Double klRemoved,
        Double prefillTokensPerSecond,
        Double stepTokensPerSecond,
        Long peakResidentBytes,
        Double quantizationSeconds,
        double scoringSeconds,
        String kernels,
        List<CodedLayer> layers) {

    static final String FLOAT = "float";

    /** Copies the list. */
    public ComparisonRow {
        layers = List.copyOf(layers);
    }

    /** Returns the method, or what fits a table of a mixed one, which names many blocks. */
    String label() {
        String[] parts = method.split("(?=,w[348]=)");
        return parts.length <= 3
                ? method
                : String.format(
                        Locale.ROOT,
                        "%s,mixed (%.2f bits, %d exceptions)",
                        parts[0],
                        bitsPerWeight,
                        parts.length - 1);
    }

    static String regime(QuantizationConfig quantization) {
        StringBuilder regime = new StringBuilder();
        append(regime, quantization.weightBits() > 0, "W");
        append(regime, quantization.activationBits() == 4, "A");
        append(regime, quantization.activationBits() == 8, "A8");
        append(regime, quantization.cacheBits() > 0, "KV");
        return regime.isEmpty() ? FLOAT : regime.toString();
    }

    private static void append(StringBuilder regime, boolean coded, String part) {
        if (coded) {
            regime.append(regime.isEmpty() ? "" : "+").append(part);
        }
    }

    /** Returns the row with the shares that it removes of a baseline, or none if that is null. */
    ComparisonRow against(ComparisonRow baseline) {
        boolean none = baseline == null || baseline.klDivergence <= 0;
        return with(
                none || baseline.gap <= 0 ? null : (Double) (1 - gap / baseline.gap),
                none ? null : (Double) (1 - klDivergence / baseline.klDivergence),
                prefillTokensPerSecond,
                stepTokensPerSecond,
                peakResidentBytes,
                quantizationSeconds);
    }

    /** Returns the row with the times of a candidate in place of its own. */
    ComparisonRow timed(Candidate candidate) {
        return with(
                gapRemoved,
                klRemoved,
                candidate.prefillTokensPerSecond(),
                candidate.stepTokensPerSecond(),
                candidate.peakResidentBytes(),
                candidate.quantizationSeconds());
    }

    private ComparisonRow with(
            Double ofGap, Double ofKl, Double prefill, Double step, Long peak, Double quantizing) {
        return new ComparisonRow(
                method,
                calibration,
                regime,
                simulated,
                bitsPerWeight,
                bitsPerCacheEntry,
                weightBytes,
                perplexity,
                gap,
                gapLow,
                gapHigh,
                klDivergence,
                klLow,
                klHigh,
                top1Agreement,
                ofGap,
                ofKl,
                prefill,
                step,
                peak,
                quantizing,
                scoringSeconds,
                kernels,
                layers);
    }
}
