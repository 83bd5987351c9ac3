package ai.djl.nestquant.cli;

import ai.djl.MalformedModelException;
import ai.djl.nestquant.model.QuantizationConfig;
import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.PerplexityReport;
import ai.djl.nestquant.pipeline.TokenWindows;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nestquant perplexity}. Not safe for concurrent use. */
@Command(
        name = "perplexity",
        description = {
            "Scores a text in consecutive windows without overlap.",
            "The text is tokenised as a whole, without special tokens. Each window stands alone,"
                    + " positions from 0 and nothing in front; all of its tokens but the first are"
                    + " predicted. The last window may be shorter, but has at least 2 tokens."
        },
        sortOptions = false)
final class PerplexityCommand extends ModelCommand<PerplexityReport> {

    private static final int DEFAULT_CONTEXT = 512;
    private static final int UPDATE_MILLIS = 500;
    private static final int BAR_WIDTH = 80;

    @Option(
            names = "--text",
            paramLabel = "FILE",
            required = true,
            description = "the text, UTF-8, taken exactly as it is")
    private Path file;

    @Option(
            names = "--context",
            paramLabel = "N",
            description = "tokens in a window (default: 512, or the model's positions if fewer)")
    private Integer context;

    @Option(
            names = "--windows",
            paramLabel = "N",
            defaultValue = "0",
            description = "score the first N windows only; 0 for all (default)")
    private int windows;

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
        if (context != null && context < 2) {
            throw wrongUsage("--context is " + context + ", but must be at least 2");
        }
        if (windows < 0) {
            throw wrongUsage("--windows is " + windows + ", but must be 0 (all) or more");
        }
        try {
            text = Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IOException(file + " is not UTF-8 text", e);
        }
    }

    /** {@inheritDoc} */
    @Override
    PerplexityReport run(LanguageModel loaded) throws IOException, MalformedModelException {
        int positions = loaded.maxPositions();
        checkContext(context, "model", positions);
        if (against == null) {
            return score(loaded, null, positions);
        }
        try (LanguageModel reference = openReference()) {
            int common = reference.maxPositions();
            checkContext(context, "reference", common);
            return score(loaded, reference, Math.min(positions, common));
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
            return LanguageModel.open(Path.of(against), QuantizationConfig.NONE, Map.of());
        }
        return LanguageModel.open(directory(), quantization, Map.of());
    }

    private PerplexityReport score(LanguageModel loaded, LanguageModel reference, int positions)
            throws IOException {
        int length = context == null ? Math.min(DEFAULT_CONTEXT, positions) : context;
        long[] ids = loaded.encode(text);
        if (reference != null && !Arrays.equals(ids, reference.encode(text))) {
            throw new IOException(
                    "the tokenizer of "
                            + against
                            + " makes other tokens of the text; only models with the same"
                            + " vocabulary can be compared");
        }
        TokenWindows cut = new TokenWindows(ids, length, windows);
        try (ProgressBar bar = progressBar(cut.count())) {
            return loaded.perplexity(cut, reference, bar::stepTo);
        }
    }

    private ProgressBar progressBar(int count) {
        return new ProgressBarBuilder()
                .setTaskName("windows")
                .setInitialMax(count)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(UPDATE_MILLIS)
                .setConsumer(new ConsoleProgressBarConsumer(streams().err(), BAR_WIDTH))
                .build();
    }

    /** {@inheritDoc} */
    @Override
    void print(PerplexityReport report) {
        row("perplexity", "%.4f", report.perplexity());
        row("tokens", "%,d", report.tokens());
        row("windows", "%,d", report.windows());
        if (report.klDivergence() != null) {
            row("KL divergence", "%.5f nats per token", report.klDivergence());
            row("top-1 agreement", "%.2f %%", 100 * report.top1Agreement());
        }
        row("bits per weight", "%.3f", report.bitsPerWeight());
        row("seconds", "%.1f", report.seconds());
    }
}
