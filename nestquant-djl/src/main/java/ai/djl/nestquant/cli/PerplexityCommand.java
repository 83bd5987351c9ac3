package ai.djl.nestquant.cli;

import ai.djl.MalformedModelException;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.PairedReport;
import ai.djl.nestquant.pipeline.PerplexityReport;
import ai.djl.nestquant.pipeline.TokenWindows;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code nestquant perplexity}. Not safe for concurrent use. */
@Command(
        name = "perplexity",
        description = {
            "Scores a text in consecutive windows.",
            "The text is tokenised as a whole, without special tokens. Each window stands alone,"
                    + " positions from 0 and nothing in front; all of its tokens but the first are"
                    + " predicted, or those that no window before it has. The last window may be"
                    + " shorter, but has at least 2 tokens."
        },
        sortOptions = false)
final class PerplexityCommand extends ModelCommand<PerplexityReport> {

    @Mixin private final TextOptions input = new TextOptions(0);

    @Option(
            names = "--stride",
            paramLabel = "N",
            description =
                    "tokens from the start of a window to that of the next; below --context, windows"
                            + " overlap and predict only what is new in them (default: --context)")
    private Integer stride;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "1",
            description = "windows that pass through the model together (default: 1)")
    private int batch;

    @Option(
            names = "--token-ids",
            description = "the text file holds token ids, separated by white space or commas")
    private boolean tokenIds;

    @Option(
            names = "--against",
            paramLabel = "REFERENCE",
            description =
                    "also report the KL divergence from a reference model, in nats per predicted"
                            + " token, and how often both agree on the next token: none is the float"
                            + " model, another quantization the model quantized so, a directory another"
                            + " float model with the same vocabulary")
    private String against;

    private String text;

    /** {@inheritDoc} */
    @Override
    void prepare() throws IOException {
        input.check();
        if (stride != null && stride < 1) {
            throw wrongUsage("--stride is " + stride + ", but must be at least 1");
        }
        if (batch < 1) {
            throw wrongUsage("--batch is " + batch + ", but must be at least 1");
        }
        text = input.read();
    }

    /** {@inheritDoc} */
    @Override
    PerplexityReport run(LanguageModel loaded) throws IOException, MalformedModelException {
        int context = input.context("model", loaded.maxPositions());
        if (against == null) {
            return score(loaded, null, context);
        }
        try (LanguageModel reference = openReference()) {
            int common = input.context("reference", reference.maxPositions());
            return score(loaded, reference, Math.min(context, common));
        }
    }

    /** A configuration means the same directory; anything else is one that is loaded float. */
    private LanguageModel openReference() throws IOException, MalformedModelException {
        QuantizationConfig quantization;
        try {
            quantization = QuantizationConfig.parse(against);
        } catch (IllegalArgumentException e) {
            if (!Files.isDirectory(Path.of(against))) {
                throw wrongUsage("--against is no directory: " + e.getMessage());
            }
            return LanguageModel.open(Path.of(against), QuantizationConfig.NONE, null, Map.of());
        }
        return LanguageModel.open(directory(), quantization, null, Map.of());
    }

    private PerplexityReport score(LanguageModel loaded, LanguageModel reference, int length)
            throws IOException {
        int step = stride == null ? length : stride;
        if (step > length) {
            throw wrongUsage("--stride is " + step + ", but a window has " + length + " tokens");
        }
        long[] ids = tokenIds ? parsedIds() : loaded.encode(text);
        if (reference != null && !tokenIds && !Arrays.equals(ids, reference.encode(text))) {
            throw new IOException(
                    "the tokenizer of "
                            + against
                            + " makes other tokens of the text; only models with the same"
                            + " vocabulary can be compared");
        }
        TokenWindows cut = new TokenWindows(ids, length, step, input.windows());
        try (ProgressBar bar = progressBar("windows", cut.count())) {
            return loaded.perplexity(cut, batch, reference, bar::stepTo);
        }
    }

    private long[] parsedIds() throws IOException {
        String[] numbers = text.strip().split("[\\s,]+");
        long[] ids = new long[numbers.length];
        for (int i = 0; i < ids.length; i++) {
            try {
                ids[i] = Long.parseLong(numbers[i]);
            } catch (NumberFormatException e) {
                throw new IOException(
                        input.file() + ": entry " + i + ", \"" + numbers[i] + "\", is no token id",
                        e);
            }
        }
        return ids;
    }

    /** {@inheritDoc} */
    @Override
    void print(PerplexityReport report) {
        row("perplexity", "%.4f", report.perplexity());
        row("tokens", "%,d", report.tokens());
        row("windows", "%,d", report.windows());
        if (report.paired() != null) {
            printComparison(report, report.paired());
        }
        row("bits per weight", "%.3f", report.bitsPerWeight());
        row("seconds", "%.1f", report.seconds());
    }

    private void printComparison(PerplexityReport report, PairedReport paired) {
        row("of the reference", "%.4f", paired.referencePerplexity());
        row("gap", "%.4f", paired.gap());
        row("KL divergence", "%.5f nats per token", report.klDivergence());
        row("top-1 agreement", "%.2f %%", 100 * report.top1Agreement());
        if (paired.gapLow() != null) {
            row("95% intervals", "by %d batch means of up to 128 tokens", paired.batches());
            interval("  perplexity", "%.4f", paired.perplexityLow(), paired.perplexityHigh());
            interval("  gap, paired", "%.4f", paired.gapLow(), paired.gapHigh());
            interval("  KL divergence", "%.5f", paired.klLow(), paired.klHigh());
        }
    }

    private void interval(String name, String format, double low, double high) {
        row(name, format + " to " + format, low, high);
    }
}
