package ai.djl.nestquant.pipeline;

import java.util.List;

/**
 * A generated text, with its speed and the memory of the process.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param text the text, without the prompt
 * @param promptTokens the tokens of the prompt
 * @param generatedTokens the tokens of the text, a closing end token included
 * @param tokenIds their ids
 * @param finishReason {@code stop}, {@code length} or {@code cancelled}
 * @param prefillTokensPerSecond the speed at which the prompt was read
 * @param stepTokensPerSecond the speed of the tokens after the first; 0 where there are none
 * @param bitsPerWeight bits that a coded weight is stored in, scales included; 32 where none is
 * @param weightBytes the bytes of all weights, coded or not
 * @param peakResidentBytes the most memory the process has held so far; -1 where the operating
 *     system does not tell
 * @param kernels what computes products with the coded weights; {@code PyTorch} where none is coded
 */
public record GenerationReport(
        String text,
        int promptTokens,
        int generatedTokens,
        List<Integer> tokenIds,
        String finishReason,
        double prefillTokensPerSecond,
        double stepTokensPerSecond,
        double bitsPerWeight,
        long weightBytes,
        long peakResidentBytes,
        String kernels) {

    /** Makes the list of ids immutable. */
    public GenerationReport {
        tokenIds = List.copyOf(tokenIds);
    }
}
