package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What {@code tokenizer_config.json} of a model folder says about chats.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param chatTemplate the Jinja template that makes a prompt of messages, or null if there is none
 * @param source the file that has the template, or that would have it
 * @param specialTokens texts of special tokens by their keys, such as {@code bos_token}
 */
public record TokenizerConfig(String chatTemplate, Path source, Map<String, String> specialTokens) {

    private static final String FILE = "tokenizer_config.json";
    private static final String TEMPLATE_FILE = "chat_template.jinja";
    private static final String TEMPLATE = "chat_template";
    private static final List<String> TOKENS =
            List.of("bos_token", "eos_token", "unk_token", "pad_token");

    /** Creates a configuration; the map is copied. */
    public TokenizerConfig {
        specialTokens = Map.copyOf(specialTokens);
    }

    /**
     * Reads the configuration; a template in a file of its own, {@code chat_template.jinja}, comes
     * before one in {@code tokenizer_config.json}, and of several there the one named default is
     * taken.
     *
     * @param directory the model folder
     * @return the configuration, without a template if no file has one
     * @throws IOException if a file cannot be read
     * @throws CheckpointException if a file is not valid; the message names the key
     */
    public static TokenizerConfig load(Path directory) throws IOException, CheckpointException {
        Path file = directory.resolve(FILE);
        ConfigSection config =
                Files.isRegularFile(file)
                        ? ConfigSection.read(file)
                        : ConfigSection.parse(file, "{}");
        Map<String, String> tokens = new TreeMap<>();
        for (String key : TOKENS) {
            if (config.has(key)) {
                boolean described = config.isObject(key);
                tokens.put(key, described ? config.section(key).text("content") : config.text(key));
            }
        }
        Path alone = directory.resolve(TEMPLATE_FILE);
        return Files.isRegularFile(alone)
                ? new TokenizerConfig(ConfigSection.readText(alone), alone, tokens)
                : new TokenizerConfig(template(config), file, tokens);
    }

    /**
     * Throws if the model's publisher says nothing about chats.
     *
     * @throws CheckpointException if there is no template
     */
    public void requireChatTemplate() throws CheckpointException {
        if (chatTemplate == null) {
            throw new CheckpointException(
                    source
                            + " has no key 'chat_template', and there is no chat_template.jinja:"
                            + " this model's publisher says nothing about chats; give a plain"
                            + " prompt, or use an instruction-tuned model");
        }
    }

    private static String template(ConfigSection config) throws CheckpointException {
        if (!config.isArray(TEMPLATE)) {
            return config.text(TEMPLATE, null);
        }
        for (ConfigSection named : config.sections(TEMPLATE)) {
            if (named.text("name").equals("default")) {
                return named.text("template");
            }
        }
        throw config.error(TEMPLATE, "has no template with the name \"default\"");
    }
}
