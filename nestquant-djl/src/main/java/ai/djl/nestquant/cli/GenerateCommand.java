package ai.djl.nestquant.cli;

import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.checkpoint.TokenizerConfig;
import ai.djl.nestquant.engine.Chat;
import ai.djl.nestquant.engine.GenerationParameters;
import ai.djl.nestquant.pipeline.GenerationReport;
import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code nestquant generate}. Not safe for concurrent use. */
@Command(
        name = "generate",
        description =
                "Continues a prompt, or answers it (--chat). What is not given is as the model's"
                        + " authors want it.",
        sortOptions = false)
final class GenerateCommand extends ModelCommand<GenerationReport> {

    private static final String STANDARD_INPUT = "-";

    @Parameters(arity = "0..1", paramLabel = "TEXT", description = "the same as --prompt TEXT")
    private String text;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description = "the text to continue; - reads it from standard input")
    private String prompt;

    @Option(
            names = "--chat",
            description =
                    "the prompt is a user's message, put into the model's own chat template; for"
                            + " instruction-tuned models")
    private boolean chat;

    @Option(
            names = "--system",
            paramLabel = "TEXT",
            description = "what the model is told before the user's message; implies --chat")
    private String system;

    @Option(
            names = "--max-tokens",
            paramLabel = "N",
            description = "the most new tokens (default: what generation_config.json says, or 128)")
    private Integer maxTokens;

    @Option(names = "--greedy", description = "always take the most likely token")
    private boolean greedy;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "below 1 is more predictable, above 1 less; 0 is --greedy")
    private Double temperature;

    @Option(names = "--top-k", paramLabel = "K", description = "choose from the K likeliest tokens")
    private Integer topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "choose from the likeliest tokens that have probability P together")
    private Double topP;

    @Option(
            names = "--repetition-penalty",
            paramLabel = "X",
            description = "above 1 avoids tokens that have occurred")
    private Double repetitionPenalty;

    @Option(names = "--seed", paramLabel = "N", description = "makes sampling repeatable")
    private Long seed;

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "end in front of this text; may be repeated")
    private List<String> stops;

    @Option(names = "--ignore-eos", description = "go on past the model's end token")
    private boolean ignoreEos;

    private final Map<String, Object> arguments = new LinkedHashMap<>();

    /** {@inheritDoc} */
    @Override
    void prepare() throws IOException, CheckpointException {
        if ((prompt == null) == (text == null)) {
            throw wrongUsage("give one prompt, as --prompt TEXT, as TEXT or as - (standard input)");
        }
        if (greedy && temperature != null && temperature != 0) {
            throw wrongUsage("--greedy and --temperature " + temperature + " exclude each other");
        }
        prompt = prompt == null ? text : prompt;
        if (prompt.equals(STANDARD_INPUT)) {
            prompt = standardInput().replaceFirst("\\R\\z", ""); // the line break of echo
        }
        argument("maxNewTokens", maxTokens);
        argument("temperature", greedy ? Double.valueOf(0) : temperature);
        argument("topK", topK);
        argument("topP", topP);
        argument("repetitionPenalty", repetitionPenalty);
        argument("seed", seed);
        argument("stop", stops);
        argument("ignoreEos", ignoreEos ? Boolean.TRUE : null);
        try {
            GenerationParameters.builder().optArguments(arguments, Set.of());
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
        if (isChat() && Files.isDirectory(directory())) { // rather now than after quantising
            TokenizerConfig.load(directory()).requireChatTemplate();
        }
    }

    private boolean isChat() {
        return chat || system != null;
    }

    private String standardInput() throws IOException {
        ByteBuffer input = ByteBuffer.wrap(streams().in().readAllBytes());
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(input).toString();
        } catch (CharacterCodingException e) {
            throw new IOException("standard input is not UTF-8 text", e);
        }
    }

    private void argument(String key, Object value) {
        if (value != null) {
            arguments.put(key, value);
        }
    }

    /** {@inheritDoc} */
    @Override
    Map<String, ?> arguments() {
        return arguments;
    }

    /** {@inheritDoc} */
    @Override
    GenerationReport run(LanguageModel loaded) throws TranslateException {
        Consumer<String> onPiece = isJson() ? piece -> {} : this::out;
        if (isChat()) {
            Chat messages = system == null ? new Chat() : new Chat().system(system);
            return loaded.generate(messages.user(prompt), onPiece);
        }
        return loaded.generate(prompt, () -> onPiece.accept(prompt), onPiece);
    }

    /** {@inheritDoc} */
    @Override
    void print(GenerationReport report) {
        String figures =
                """

                %d prompt tokens at %.1f tokens/s, %d new tokens at %.1f tokens/s, ended by %s
                weights %s, %.3f bits per Linear weight, kernels %s, peak memory %s
                """;
        out(
                String.format(
                        Locale.ROOT,
                        System.lineSeparator() + figures,
                        report.promptTokens(),
                        report.prefillTokensPerSecond(),
                        report.generatedTokens(),
                        report.stepTokensPerSecond(),
                        report.finishReason(),
                        megabytes(report.weightBytes()),
                        report.bitsPerWeight(),
                        report.kernels(),
                        megabytes(report.peakResidentBytes())));
    }
}
