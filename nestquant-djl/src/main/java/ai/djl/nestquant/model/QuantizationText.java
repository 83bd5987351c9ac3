package ai.djl.nestquant.model;

import ai.djl.nestquant.model.QuantizationConfig.Code;
import ai.djl.nestquant.model.QuantizationConfig.Head;
import ai.djl.nestquant.model.QuantizationConfig.Hessian;
import ai.djl.nestquant.model.QuantizationConfig.Rounding;
import ai.djl.nestquant.model.QuantizationConfig.Width;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads and writes the text form of {@link QuantizationConfig}, and makes changed copies. Not safe
 * for concurrent use.
 */
final class QuantizationText {

    static final double DEFAULT_DAMPING = 0.01;

    private static final String KNOWN =
            "known are none, w4, w4a8, w4a4, kv4, w4kv4, w4a8kv4 and w4a4kv4, the same with w3"
                    + " or w8 in place of w4, each optionally followed by parts after commas, as in"
                    + " w4a8,code=e8,exclude=lm_head: balance, rotation, code, k, head, rounding,"
                    + " hessian, damping, exclude, only, w3, w4 and w8";

    private static final Pattern PRESET = Pattern.compile("(w[348](a[48])?)?(kv4)?");
    private static final Pattern SMALL = Pattern.compile("[1-9]\\d{0,3}");
    private static final Pattern NUMBER = Pattern.compile("\\d+(\\.\\d+)?([eE]-?\\d+)?");

    private int weightBits;
    int activationBits;
    int cacheBits;
    private boolean balance = true;
    private boolean rotate = true;
    private Code code = Code.D8;
    private int scales;
    private Head head;
    private Rounding rounding = Rounding.PLAIN;
    private Hessian hessian = Hessian.PLAIN;
    private double damping = DEFAULT_DAMPING;
    private final List<String> excluded = new ArrayList<>();
    private final List<String> only = new ArrayList<>();
    private final List<Width> widths = new ArrayList<>();

    private QuantizationText() {}

    /** Begins with what a configuration says. */
    QuantizationText(QuantizationConfig config) {
        weightBits = config.weightBits();
        activationBits = config.activationBits();
        cacheBits = config.cacheBits();
        balance = config.balance();
        rotate = config.rotate();
        code = config.code();
        scales = config.scales();
        head = config.head();
        rounding = config.rounding();
        hessian = config.hessian();
        damping = config.damping();
        excluded.addAll(config.excluded());
        only.addAll(config.only());
        widths.addAll(config.widths());
    }

    /** Leaves weights float, and forgets how they were coded. */
    void leaveWeights() {
        weightBits = 0;
        balance = true;
        head = Head.FLOAT;
        rounding = Rounding.PLAIN;
        hessian = Hessian.PLAIN;
        damping = DEFAULT_DAMPING;
        widths.clear();
    }

    /** Codes the blocks of one name only. */
    void only(String pattern) {
        only.clear();
        only.add(pattern);
    }

    QuantizationConfig config() {
        return new QuantizationConfig(
                weightBits,
                activationBits,
                cacheBits,
                balance,
                rotate,
                code,
                scales,
                head,
                rounding,
                hessian,
                damping,
                excluded,
                only,
                widths);
    }

    /** Reads the text form, see {@link QuantizationConfig#parse}. */
    static QuantizationConfig parse(String text) {
        String[] parts = text.trim().split("\\s*,\\s*", -1);
        Matcher bits = PRESET.matcher(parts[0].equals("none") ? "" : parts[0]);
        if (!bits.matches() || parts[0].isEmpty()) {
            throw new IllegalArgumentException(
                    "unknown quantization \"" + parts[0] + "\"; " + KNOWN);
        }
        QuantizationText options = new QuantizationText();
        options.weightBits = bits(bits.group(1));
        options.activationBits = bits(bits.group(2));
        options.cacheBits = bits(bits.group(3));
        options.head = defaultHead(options.weightBits);
        for (int i = 1; i < parts.length; i++) {
            String[] option = parts[i].split("=", 2);
            if (option.length < 2 || option[1].isEmpty() || !options.take(option[0], option[1])) {
                throw new IllegalArgumentException(
                        String.format(
                                "unknown part \"%s\" in quantization \"%s\"; %s",
                                parts[i], text, KNOWN));
            }
        }
        return options.config();
    }

    /** Takes an option, or returns false if its name is unknown. */
    private boolean take(String name, String value) {
        switch (name) {
            case "balance" -> balance = flag(name, value);
            case "rotation" -> rotate = flag(name, value);
            case "k" -> scales = Integer.parseInt(number(SMALL, name, value));
            case "code" -> code = find(Code.values(), Code::key, name, value);
            case "head" -> head = find(Head.values(), Head::key, name, value);
            case "rounding" -> rounding = find(Rounding.values(), Rounding::key, name, value);
            case "hessian" -> hessian = find(Hessian.values(), Hessian::key, name, value);
            case "damping" -> damping = Double.parseDouble(number(NUMBER, name, value));
            case "exclude" -> excluded.add(value);
            case "only" -> only.add(value);
            case "w3", "w4", "w8" -> widths.add(new Width(bits(name), value));
            default -> {
                return false;
            }
        }
        return true;
    }

    private static boolean flag(String name, String value) {
        return find(new Boolean[] {true, false}, on -> on ? "on" : "off", name, value);
    }

    private static String number(Pattern form, String name, String value) {
        if (!form.matcher(value).matches()) {
            throw new IllegalArgumentException(
                    String.format("%s=%s: %s must be a positive number", name, value, name));
        }
        return value;
    }

    private static <T> T find(T[] values, Function<T, String> key, String name, String text) {
        List<String> keys = Arrays.stream(values).map(key).toList();
        if (!keys.contains(text)) {
            throw new IllegalArgumentException(
                    String.format(
                            "%s=%s: %s is one of %s", name, text, name, String.join(", ", keys)));
        }
        return values[keys.indexOf(text)];
    }

    private static Head defaultHead(int weightBits) {
        return weightBits > 0 ? Head.INT8 : Head.FLOAT;
    }

    /** The first number of a group, or 0 where the group is absent. */
    private static int bits(String group) {
        return group == null ? 0 : group.replaceFirst("\\D+", "").charAt(0) - '0';
    }

    /** Writes the text form, which {@link #parse} understands. */
    static String of(QuantizationConfig config) {
        StringBuilder text = new StringBuilder();
        append(text, "w", config.weightBits());
        append(text, "a", config.activationBits());
        append(text, "kv", config.cacheBits());
        if (text.isEmpty()) {
            text.append("none");
        }
        text.append(config.balance() ? "" : ",balance=off");
        text.append(config.rotate() ? "" : ",rotation=off");
        text.append(config.code() == Code.D8 ? "" : ",code=" + config.code().key());
        text.append(config.scales() == 0 ? "" : ",k=" + config.scales());
        if (config.head() != defaultHead(config.weightBits())) {
            text.append(",head=").append(config.head().key());
        }
        if (config.rounding() != Rounding.PLAIN) {
            text.append(",rounding=").append(config.rounding().key());
        }
        if (config.hessian() != Hessian.PLAIN) {
            text.append(",hessian=").append(config.hessian().key());
        }
        if (config.damping() != DEFAULT_DAMPING) {
            text.append(",damping=").append(config.damping());
        }
        config.excluded().forEach(name -> text.append(",exclude=").append(name));
        config.only().forEach(name -> text.append(",only=").append(name));
        for (Width width : config.widths()) {
            text.append(",w").append(width.bits()).append('=').append(width.pattern());
        }
        return text.toString();
    }

    private static void append(StringBuilder text, String part, int bits) {
        if (bits > 0) {
            text.append(part).append(bits);
        }
    }
}
