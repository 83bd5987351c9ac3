package ai.djl.nestquant.engine;

import ai.djl.nestquant.checkpoint.CheckpointException;
import ai.djl.nestquant.checkpoint.TokenizerConfig;
import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.interpret.JinjavaInterpreter;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError;
import com.hubspot.jinjava.lib.filter.TrimFilter;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The Jinja template by which a model's publisher makes a prompt of messages, with the variables
 * and functions that {@code transformers} gives it. Tools are not supported.
 *
 * <p>Immutable and safe for concurrent use.
 */
final class ChatTemplate {

    /**
     * What Jinjava does not parse, or takes for more than it is (its lstrip_blocks strips in the
     * middle of lines too), and the same in other words.
     */
    private static final Map<String, String> REWORDED =
            Map.of(
                    "(?m)^[ \\t]+(?=\\{[%#])", "",
                    "\\[::-1\\]", "|reverse",
                    "=(\\w+\\|length [-+] \\d+)(?=[,)])", "=($1)");

    private static final Jinjava JINJAVA = jinjava();

    private final TokenizerConfig config;
    private final String template;

    private ChatTemplate(TokenizerConfig config) {
        this.config = config;
        String text = config.chatTemplate();
        for (Map.Entry<String, String> phrase : REWORDED.entrySet()) {
            text = text.replaceAll(phrase.getKey(), phrase.getValue());
        }
        template = text;
    }

    /**
     * Reads the template of a model directory.
     *
     * @param directory the directory
     * @return the template
     * @throws IOException if a file cannot be read
     * @throws CheckpointException if there is none or a file is not valid
     */
    static ChatTemplate open(Path directory) throws IOException, CheckpointException {
        TokenizerConfig config = TokenizerConfig.load(directory);
        config.requireChatTemplate();
        return new ChatTemplate(config);
    }

    private static Jinjava jinjava() {
        JinjavaConfig settings =
                JinjavaConfig.newBuilder()
                        .withTrimBlocks(true)
                        .withNestedInterpretationEnabled(false) // messages are no templates
                        .withElResolver(new PythonStrings())
                        .withLegacyOverrides(
                                LegacyOverrides.newBuilder()
                                        .withUseTrimmingForNotesAndExpressions(true)
                                        .build())
                        .build();
        Jinjava jinjava = new Jinjava(settings);
        jinjava.getGlobalContext().registerFilter(new Trim());
        register(jinjava, "raise_exception", "refuse");
        register(jinjava, "strftime_now", "today");
        return jinjava;
    }

    private static void register(Jinjava jinjava, String name, String method) {
        ELFunctionDefinition function =
                new ELFunctionDefinition("", name, ChatTemplate.class, method, String.class);
        jinjava.getGlobalContext().registerFunction(function);
    }

    /**
     * Makes the prompt after which the model answers; it has its special tokens already.
     *
     * @param chat at least one message
     * @return the prompt
     * @throws IllegalArgumentException if the template refuses the messages or uses what this
     *     library does not understand
     */
    String render(Chat chat) {
        if (chat.messages().isEmpty()) {
            throw new IllegalArgumentException("the chat has no messages; add one of the user");
        }
        Map<String, Object> variables = new HashMap<>(config.specialTokens());
        variables.put(
                "messages",
                chat.messages().stream()
                        .map(m -> Map.of("role", m.role(), "content", m.content()))
                        .toList());
        variables.put("add_generation_prompt", true);
        variables.put("strftime_now", true); // so that it "is defined"; calls find the function
        RenderResult result = JINJAVA.renderForResult(template, variables);
        for (TemplateError error : result.getErrors()) {
            Throwable cause = error.getException();
            while (cause != null && !(cause instanceof Refusal)) {
                cause = cause.getCause();
            }
            throw new IllegalArgumentException(
                    config.source()
                            + (cause == null
                                    ? ": the chat template cannot be used: " + error.getMessage()
                                    : ": the chat template refuses these messages: "
                                            + cause.getMessage()));
        }
        return result.getOutput();
    }

    /** As Python strips; Jinjava's own takes control characters for spaces, and some spaces not. */
    private static final class Trim extends TrimFilter {

        /** {@inheritDoc} */
        @Override
        public Object filter(Object value, JinjavaInterpreter interpreter, String... arguments) {
            return value == null ? null : PythonStrings.strip(value.toString(), null);
        }
    }

    /** What a template says against the messages. */
    private static final class Refusal extends RuntimeException {

        private static final long serialVersionUID = 1L;

        Refusal(String message) {
            super(message);
        }
    }

    /**
     * {@code raise_exception} of templates.
     *
     * @param message what is wrong with the messages
     * @return nothing
     */
    public static String refuse(String message) {
        throw new Refusal(message);
    }

    /**
     * {@code strftime_now} of templates, which ask for the date only.
     *
     * @param format as for C's strftime, which Java's dates follow: %d, %b, %B, %m, %Y, %y, %a, %A
     * @return today's date
     */
    public static String today(String format) {
        if (format.replaceAll("%[dbBmYyaA]", "").contains("%")) {
            throw new IllegalArgumentException(
                    "date \"" + format + "\" has other fields than dates");
        }
        return String.format(
                Locale.ENGLISH, format.replaceAll("%(.)", "%1\\$t$1"), LocalDate.now());
    }
}
