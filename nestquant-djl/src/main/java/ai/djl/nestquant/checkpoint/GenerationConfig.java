package ai.djl.nestquant.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * How a model's authors want text to be generated, from the optional {@code
 * generation_config.json}; defaults as in transformers.
 *
 * <p>Thread-safe (immutable).
 *
 * @param present whether the folder has the file
 * @param bosTokenId the id that starts a text; from config.json where the file names none
 * @param eosTokenIds the ids that end a text; from config.json where the file names none
 * @param doSample whether to sample rather than take the most likely token
 * @param temperature divides the logits when sampling; 0 only together with greedy choice
 * @param topK the number of most likely tokens to sample from; 0 for all
 * @param topP the probability mass to sample from, in [0, 1]
 * @param repetitionPenalty divides the positive and multiplies the negative logits of tokens that
 *     have occurred; 1 for none
 * @param maxNewTokens the bound on generated tokens, if named
 * @param maxLength the bound on prompt and generated tokens, if named (transformers' default of 20
 *     is not applied)
 * @param unsupportedKeys keys with a value that would change the generation and that are not
 *     implemented, for a warning
 */
public record GenerationConfig(
        boolean present,
        OptionalInt bosTokenId,
        List<Integer> eosTokenIds,
        boolean doSample,
        double temperature,
        int topK,
        double topP,
        double repetitionPenalty,
        OptionalInt maxNewTokens,
        OptionalInt maxLength,
        List<String> unsupportedKeys) {

    private static final String FILE = "generation_config.json";
    private static final String EOS = "eos_token_id";

    /** Options that are not implemented, with the value (as JSON text) that turns each off. */
    private static final Map<String, List<String>> NOT_IMPLEMENTED =
            Map.ofEntries(
                    Map.entry("num_beams", List.of("1")),
                    Map.entry("num_beam_groups", List.of("1")),
                    Map.entry("penalty_alpha", List.of()),
                    Map.entry("min_p", List.of("0", "0.0")),
                    Map.entry("typical_p", List.of("1", "1.0")),
                    Map.entry("epsilon_cutoff", List.of("0", "0.0")),
                    Map.entry("eta_cutoff", List.of("0", "0.0")),
                    Map.entry("no_repeat_ngram_size", List.of("0")),
                    Map.entry("min_length", List.of("0")),
                    Map.entry("min_new_tokens", List.of("0")),
                    Map.entry("bad_words_ids", List.of("[]")),
                    Map.entry("force_words_ids", List.of("[]")),
                    Map.entry("sequence_bias", List.of("{}")),
                    Map.entry("suppress_tokens", List.of("[]")),
                    Map.entry("begin_suppress_tokens", List.of("[]")),
                    Map.entry("forced_bos_token_id", List.of()),
                    Map.entry("forced_eos_token_id", List.of()),
                    Map.entry("guidance_scale", List.of("1", "1.0")));

    /** Creates a configuration; the lists are copied. */
    public GenerationConfig {
        eosTokenIds = List.copyOf(eosTokenIds);
        unsupportedKeys = List.copyOf(unsupportedKeys);
    }

    /**
     * Reads {@code generation_config.json} of a model folder, or gives the defaults if there is
     * none.
     *
     * @param directory the folder
     * @param model the model's configuration, for token ids that the file does not name
     * @return the configuration
     * @throws IOException if the file cannot be read
     * @throws CheckpointException if the file is not valid; the message names the key
     */
    public static GenerationConfig load(Path directory, ModelConfig model)
            throws IOException, CheckpointException {
        Path file = directory.resolve(FILE);
        if (Files.isRegularFile(file)) {
            return parse(ConfigSection.read(file), true, model);
        }
        return parse(ConfigSection.parse(file, "{}"), false, model);
    }

    private static GenerationConfig parse(ConfigSection file, boolean present, ModelConfig model)
            throws CheckpointException {
        OptionalInt bos = file.optionalInteger("bos_token_id", 0, Integer.MAX_VALUE);
        boolean doSample = file.flag("do_sample", false);
        double temperature = file.number("temperature", 1, 0, 1e6);
        if (doSample && temperature == 0) {
            throw file.error("temperature", "is 0, which needs do_sample = false");
        }
        return new GenerationConfig(
                present,
                bos.isPresent() ? bos : model.bosTokenId(),
                file.has(EOS) ? file.ids(EOS) : model.eosTokenIds(),
                doSample,
                temperature,
                // null turns the choice off, absence leaves the default
                file.isNull("top_k") ? 0 : file.integer("top_k", 50, 0, Integer.MAX_VALUE),
                file.number("top_p", 1, 0, 1),
                file.number("repetition_penalty", 1, Double.MIN_NORMAL, 1e6),
                file.optionalInteger("max_new_tokens", 1, Integer.MAX_VALUE),
                file.optionalInteger("max_length", 1, Integer.MAX_VALUE),
                unsupportedKeys(file));
    }

    private static List<String> unsupportedKeys(ConfigSection file) {
        return NOT_IMPLEMENTED.entrySet().stream()
                .filter(entry -> file.has(entry.getKey()))
                .filter(entry -> !entry.getValue().contains(file.show(entry.getKey())))
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }
}
