package ai.djl.nestquant.model;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What is put on lattice codes, with a compact text form.
 *
 * <p>The text is a preset, {@code none} or {@code w4}, optionally followed by {@code balance=off}
 * and by {@code exclude=NAME} once for each layer that stays float, separated by commas; {@code *}
 * in a name matches anything, as in {@code w4,exclude=lm_head,exclude=*.down_proj}. Immutable and
 * safe for concurrent use.
 *
 * @param weights true if the weights of Linear blocks are coded (4.25 bits each)
 * @param balance whether channels are balanced before the rotation where weights are coded
 * @param excluded names of blocks that stay float, as in the checkpoint without {@code .weight}
 */
public record QuantizationConfig(boolean weights, boolean balance, List<String> excluded) {

    /** The name of the option that holds the text form. */
    public static final String OPTION = "quantization";

    /** Everything stays float. */
    public static final QuantizationConfig NONE = new QuantizationConfig(false, true, List.of());

    /** Weights on 16·E8 with the ladder 3:4:5:7, 4.25 bits each. */
    public static final QuantizationConfig W4 = new QuantizationConfig(true, true, List.of());

    private static final String KNOWN =
            "known are none and w4, each optionally followed by"
                    + " ,balance=off and ,exclude=NAME";

    /** Makes the list of exclusions immutable. */
    public QuantizationConfig {
        excluded = List.copyOf(excluded);
    }

    /**
     * Parses the text form.
     *
     * @param text for example {@code w4} or {@code w4,exclude=lm_head}
     * @return the configuration
     * @throws IllegalArgumentException if a part is unknown; the message lists the known ones
     */
    public static QuantizationConfig parse(String text) {
        String[] parts = text.trim().split("\\s*,\\s*", -1);
        boolean weights =
                switch (parts[0]) {
                    case "none" -> false;
                    case "w4" -> true;
                    default ->
                            throw new IllegalArgumentException(
                                    "unknown quantization \"" + parts[0] + "\"; " + KNOWN);
                };
        boolean balance = true;
        List<String> excluded = new ArrayList<>();
        for (int i = 1; i < parts.length; i++) {
            if (parts[i].equals("balance=on") || parts[i].equals("balance=off")) {
                balance = parts[i].equals("balance=on");
                continue;
            }
            String[] option = parts[i].split("=", 2);
            if (!option[0].equals("exclude") || option.length != 2 || option[1].isEmpty()) {
                throw new IllegalArgumentException(
                        "unknown part \""
                                + parts[i]
                                + "\" in quantization \""
                                + text
                                + "\"; "
                                + KNOWN);
            }
            excluded.add(option[1]);
        }
        return new QuantizationConfig(weights, balance, excluded);
    }

    /**
     * Tells whether a block's weights are to be coded.
     *
     * @param name the block's name, such as {@code model.layers.0.mlp.up_proj}
     * @return true if they are
     */
    public boolean quantizes(String name) {
        return weights && excluded.stream().noneMatch(pattern -> matches(pattern, name));
    }

    /**
     * Tells whether a calibration text is needed to load a model.
     *
     * @return true if weights are coded and balanced before
     */
    public boolean balances() {
        return weights && balance;
    }

    private static boolean matches(String pattern, String name) {
        String regex = Pattern.quote(pattern).replace("*", "\\E.*\\Q");
        return name.matches(regex);
    }

    /**
     * Returns the text form.
     *
     * @return the text form, which {@link #parse} understands
     */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(weights ? "w4" : "none");
        text.append(balance ? "" : ",balance=off");
        excluded.forEach(name -> text.append(",exclude=").append(name));
        return text.toString();
    }
}
