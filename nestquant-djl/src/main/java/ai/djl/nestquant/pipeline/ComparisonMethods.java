package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.model.QuantizationConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Lists of methods to compare, by name or one by one.
 *
 * <p>Stateless and safe for concurrent use.
 */
public final class ComparisonMethods {

    /** Parts that follow each preset; what other projects use without a rotation stays as it is. */
    private static final List<String> PARTS =
            List.of(
                    "",
                    ",code=e8",
                    ",balance=off",
                    ",code=nestquantm",
                    ",code=int4",
                    ",code=int4,balance=off",
                    ",code=mxfp4_rotated",
                    ",code=nvfp4_rotated",
                    ",code=rtn,balance=off",
                    ",code=q4_0,balance=off",
                    ",code=mxfp4,balance=off",
                    ",code=nvfp4,balance=off");

    private static final List<String> QUICK = List.of("", ",code=nestquantm", ",code=int4");

    /** Rounding with feedback; for weights alone it does better without balancing. */
    private static final List<String> CALIBRATED =
            List.of(
                    "w4,rounding=ldlq",
                    "w4,code=int4,rounding=ldlq",
                    "w4,balance=off,rounding=ldlq",
                    "w4,balance=off,code=e8,rounding=ldlq",
                    "w4,balance=off,code=int4,rounding=ldlq",
                    "w3,balance=off,rounding=ldlq",
                    "w4kv4,balance=off,rounding=ldlq",
                    "w4kv4,balance=off,code=int4,rounding=ldlq",
                    "w4a4kv4,rounding=ldlq",
                    "w4a4kv4,rounding=qa-ldlq",
                    "w4a4kv4,code=int4,rounding=ldlq",
                    "w4a4kv4,code=int4,rounding=qa-ldlq");

    private ComparisonMethods() {}

    /**
     * Reads a list.
     *
     * @param text names of lists ({@code default}, {@code weights}, {@code cache}, {@code full},
     *     {@code calibrated}, {@code quick}) or quantizations, separated by semicolons
     * @return the methods, each once
     * @throws IllegalArgumentException if a part is neither
     */
    public static List<QuantizationConfig> parse(String text) {
        List<QuantizationConfig> methods = new ArrayList<>();
        for (String part : text.split(";")) {
            for (String method : named(part.strip())) {
                QuantizationConfig config = QuantizationConfig.parse(method);
                if (!methods.contains(config)) {
                    methods.add(config);
                }
            }
        }
        return methods;
    }

    /** Returns what to measure to know what each part of a method costs in one decoder layer. */
    static Map<String, QuantizationConfig> partsOfLayer(QuantizationConfig method, int layer) {
        String name = "model.layers." + layer + ".*";
        Map<String, QuantizationConfig> parts = new LinkedHashMap<>();
        if (method.weightBits() > 0) {
            parts.put(LayerCost.WEIGHTS, method.part(true, false, false, name));
        }
        if (method.activationBits() > 0) {
            parts.put(LayerCost.ACTIVATIONS, method.part(true, true, false, name));
        }
        if (method.cacheBits() > 0) {
            parts.put(LayerCost.CACHE, method.part(false, false, true, name));
        }
        return parts;
    }

    private static List<String> named(String name) {
        return switch (name) {
            case "default" -> {
                List<String> all = new ArrayList<>(named("weights"));
                all.addAll(named("cache"));
                all.addAll(named("full"));
                yield all;
            }
            case "weights" -> {
                List<String> weights = new ArrayList<>(with("w4", PARTS));
                weights.add("w3");
                yield weights;
            }
            case "cache" -> with("w4kv4", PARTS);
            case "full" -> {
                List<String> full = new ArrayList<>(with("w4a4kv4", PARTS));
                full.add("w4a8");
                full.add("w4a8kv4");
                yield full;
            }
            case "calibrated" -> CALIBRATED;
            case "quick" -> {
                List<String> quick = new ArrayList<>(with("w4", QUICK));
                quick.addAll(with("w4kv4", QUICK));
                quick.addAll(with("w4a4kv4", QUICK));
                yield quick;
            }
            default -> List.of(name);
        };
    }

    private static List<String> with(String preset, List<String> parts) {
        return parts.stream().map(part -> preset + part).toList();
    }
}
