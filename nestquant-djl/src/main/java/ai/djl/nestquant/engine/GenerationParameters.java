package ai.djl.nestquant.engine;

import ai.djl.nestquant.checkpoint.GenerationConfig;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;

/**
 * How a text is continued: when to stop and how to choose each token.
 *
 * <p>The choice follows the order and conventions of HuggingFace transformers: repetition penalty,
 * temperature, top-k, top-p; see {@link Sampler}. Immutable and safe for concurrent use.
 */
public final class GenerationParameters {

    /** The bound on generated tokens where neither the caller nor the model names one. */
    public static final int DEFAULT_MAX_NEW_TOKENS = 128;

    private static final Set<String> KEYS =
            Set.of(
                    "maxNewTokens",
                    "temperature",
                    "topK",
                    "topP",
                    "repetitionPenalty",
                    "seed",
                    "stop",
                    "eosTokenIds",
                    "ignoreEos");

    private final int maxNewTokens;
    private final double temperature;
    private final int topK;
    private final double topP;
    private final double repetitionPenalty;
    private final OptionalLong seed;
    private final List<String> stopStrings;
    private final List<Long> eosTokenIds;
    private final boolean ignoreEos;

    private GenerationParameters(Builder builder) {
        maxNewTokens = builder.maxNewTokens;
        temperature = builder.temperature;
        topK = builder.topK;
        topP = builder.topP;
        repetitionPenalty = builder.repetitionPenalty;
        seed = builder.seed;
        stopStrings = List.copyOf(builder.stopStrings);
        eosTokenIds = List.copyOf(builder.eosTokenIds);
        ignoreEos = builder.ignoreEos;
    }

    /**
     * Creates a builder for greedy choice without penalty, stop strings or end tokens.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Creates a builder that starts from what the model's authors want.
     *
     * <p>A model that does not ask for sampling is greedy (temperature 0); its top-k and top-p
     * still hold for a caller who sets a temperature, as in transformers.
     *
     * @param defaults the model's {@code generation_config.json}
     * @return a new builder
     */
    public static Builder builder(GenerationConfig defaults) {
        List<Long> ends = defaults.eosTokenIds().stream().map(Integer::longValue).toList();
        return new Builder()
                .optMaxNewTokens(defaults.maxNewTokens().orElse(DEFAULT_MAX_NEW_TOKENS))
                .optTemperature(defaults.doSample() ? defaults.temperature() : 0)
                .optTopK(defaults.topK())
                .optTopP(defaults.topP())
                .optRepetitionPenalty(defaults.repetitionPenalty())
                .optEosTokenIds(ends);
    }

    /**
     * Reads parameters from DJL arguments, over the defaults of a model.
     *
     * <p>Keys: {@code maxNewTokens}, {@code temperature} (0 for greedy), {@code topK}, {@code
     * topP}, {@code repetitionPenalty}, {@code seed}, {@code stop} (a string or a list of them),
     * {@code eosTokenIds} (a number or a list of them), {@code ignoreEos}. Numbers and booleans may
     * be given as strings.
     *
     * @param arguments the arguments
     * @param otherKeys keys of the map that are somebody else's
     * @param defaults the model's {@code generation_config.json}
     * @return the parameters
     * @throws IllegalArgumentException if a key is unknown or a value is not valid; the message
     *     names the key
     */
    public static GenerationParameters parse(
            Map<String, ?> arguments, Set<String> otherKeys, GenerationConfig defaults) {
        return builder(defaults).optArguments(arguments, otherKeys).build();
    }

    /**
     * Returns the names of the arguments that {@link #parse} understands.
     *
     * @return the names
     */
    public static Set<String> keys() {
        return KEYS;
    }

    /**
     * Returns the bound on generated tokens, at least 1.
     *
     * @return the bound on generated tokens
     */
    public int maxNewTokens() {
        return maxNewTokens;
    }

    /**
     * Returns what divides the logits before sampling; 0 for greedy choice.
     *
     * @return the temperature
     */
    public double temperature() {
        return temperature;
    }

    /**
     * Tells whether the most likely token is always taken.
     *
     * @return true if the temperature is 0
     */
    public boolean isGreedy() {
        return temperature == 0;
    }

    /**
     * Returns the number of most likely tokens to sample from; 0 for all.
     *
     * @return the number of tokens
     */
    public int topK() {
        return topK;
    }

    /**
     * Returns the probability mass to sample from, in [0, 1]; 1 for all.
     *
     * @return the probability mass
     */
    public double topP() {
        return topP;
    }

    /**
     * Returns the penalty on tokens that have occurred; 1 for none.
     *
     * @return the repetition penalty
     */
    public double repetitionPenalty() {
        return repetitionPenalty;
    }

    /**
     * Returns the seed of the random choices, if they are to be repeatable.
     *
     * @return the seed
     */
    public OptionalLong seed() {
        return seed;
    }

    /**
     * Returns the strings that end the text; they are not part of it.
     *
     * @return the stop strings
     */
    public List<String> stopStrings() {
        return stopStrings;
    }

    /**
     * Returns the ids that end the text.
     *
     * @return the end tokens
     */
    public List<Long> eosTokenIds() {
        return eosTokenIds;
    }

    /**
     * Tells whether generation goes on past the end tokens.
     *
     * @return true to go on
     */
    public boolean ignoreEos() {
        return ignoreEos;
    }

    /**
     * Tells whether a token ends the text.
     *
     * @param id the token
     * @return true for an end token, unless they are ignored
     */
    public boolean isEnd(long id) {
        return !ignoreEos && eosTokenIds.contains(id);
    }

    /** Builds {@link GenerationParameters}. Not safe for concurrent use. */
    public static final class Builder {

        private int maxNewTokens = DEFAULT_MAX_NEW_TOKENS;
        private double temperature;
        private int topK;
        private double topP = 1;
        private double repetitionPenalty = 1;
        private OptionalLong seed = OptionalLong.empty();
        private List<String> stopStrings = List.of();
        private List<Long> eosTokenIds = List.of();
        private boolean ignoreEos;

        private Builder() {}

        /**
         * Sets the bound on generated tokens.
         *
         * @param maxNewTokens the bound, at least 1
         * @return this builder
         */
        public Builder optMaxNewTokens(int maxNewTokens) {
            check(maxNewTokens >= 1, "maxNewTokens", maxNewTokens, "at least 1");
            this.maxNewTokens = maxNewTokens;
            return this;
        }

        /**
         * Sets what divides the logits before sampling.
         *
         * @param temperature the temperature; 0 for greedy choice
         * @return this builder
         */
        public Builder optTemperature(double temperature) {
            boolean valid = temperature >= 0 && Double.isFinite(temperature);
            check(valid, "temperature", temperature, "0 (greedy) or a positive number");
            this.temperature = temperature;
            return this;
        }

        /**
         * Sets the number of most likely tokens to sample from.
         *
         * @param topK the number; 0 for all
         * @return this builder
         */
        public Builder optTopK(int topK) {
            check(topK >= 0, "topK", topK, "0 (all tokens) or a positive number");
            this.topK = topK;
            return this;
        }

        /**
         * Sets the probability mass to sample from.
         *
         * @param topP the mass, in [0, 1]; 1 for all
         * @return this builder
         */
        public Builder optTopP(double topP) {
            check(topP >= 0 && topP <= 1, "topP", topP, "in [0, 1]");
            this.topP = topP;
            return this;
        }

        /**
         * Sets the penalty on tokens that have occurred in the prompt or since.
         *
         * @param repetitionPenalty the penalty, above 0; 1 for none
         * @return this builder
         */
        public Builder optRepetitionPenalty(double repetitionPenalty) {
            boolean valid = repetitionPenalty > 0 && Double.isFinite(repetitionPenalty);
            check(valid, "repetitionPenalty", repetitionPenalty, "a positive number");
            this.repetitionPenalty = repetitionPenalty;
            return this;
        }

        /**
         * Makes the random choices repeatable.
         *
         * @param seed the seed
         * @return this builder
         */
        public Builder optSeed(long seed) {
            this.seed = OptionalLong.of(seed);
            return this;
        }

        /**
         * Sets the strings that end the text.
         *
         * @param stopStrings the strings, none of them empty
         * @return this builder
         */
        public Builder optStopStrings(List<String> stopStrings) {
            check(!stopStrings.contains(""), "stop", stopStrings, "strings that are not empty");
            this.stopStrings = List.copyOf(stopStrings);
            return this;
        }

        /**
         * Sets the ids that end the text.
         *
         * @param eosTokenIds the ids
         * @return this builder
         */
        public Builder optEosTokenIds(List<Long> eosTokenIds) {
            boolean valid = eosTokenIds.stream().allMatch(id -> id >= 0);
            check(valid, "eosTokenIds", eosTokenIds, "token ids, which are not negative");
            this.eosTokenIds = List.copyOf(eosTokenIds);
            return this;
        }

        /**
         * Sets whether generation goes on past the end tokens.
         *
         * @param ignoreEos true to go on
         * @return this builder
         */
        public Builder optIgnoreEos(boolean ignoreEos) {
            this.ignoreEos = ignoreEos;
            return this;
        }

        /**
         * Sets what a map of DJL arguments says, see {@link GenerationParameters#parse}.
         *
         * @param arguments the arguments
         * @param otherKeys keys of the map that are somebody else's
         * @return this builder
         * @throws IllegalArgumentException if a key is unknown or a value is not valid
         */
        public Builder optArguments(Map<String, ?> arguments, Set<String> otherKeys) {
            arguments.forEach(
                    (key, value) -> {
                        if (KEYS.contains(key)) {
                            set(key, value);
                        } else if (!otherKeys.contains(key)) {
                            Set<String> known = new TreeSet<>(KEYS);
                            known.addAll(otherKeys);
                            throw new IllegalArgumentException(
                                    "unknown argument \"" + key + "\"; known are " + known);
                        }
                    });
            return this;
        }

        /**
         * Builds the parameters.
         *
         * @return the parameters
         */
        public GenerationParameters build() {
            return new GenerationParameters(this);
        }

        private void set(String key, Object value) {
            switch (key) {
                case "maxNewTokens" -> optMaxNewTokens(ParsedArgument.integer(key, value));
                case "temperature" -> optTemperature(ParsedArgument.number(key, value));
                case "topK" -> optTopK(ParsedArgument.integer(key, value));
                case "topP" -> optTopP(ParsedArgument.number(key, value));
                case "repetitionPenalty" -> optRepetitionPenalty(ParsedArgument.number(key, value));
                case "seed" -> optSeed(ParsedArgument.wholeNumber(key, value));
                case "stop" -> optStopStrings(ParsedArgument.strings(key, value));
                case "eosTokenIds" -> optEosTokenIds(ParsedArgument.wholeNumbers(key, value));
                case "ignoreEos" -> optIgnoreEos(ParsedArgument.flag(key, value));
                default -> throw new AssertionError(key);
            }
        }

        private static void check(boolean valid, String key, Object value, String expected) {
            if (!valid) {
                throw ParsedArgument.invalid(key, value, expected);
            }
        }
    }
}
