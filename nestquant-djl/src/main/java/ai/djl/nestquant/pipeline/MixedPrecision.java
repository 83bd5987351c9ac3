package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.model.CodedLayer;
import ai.djl.nestquant.model.QuantizationConfig;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Spends a given average number of bits on the Linear blocks where it helps most.
 *
 * <p>The divergence of a model is nearly the sum of what its blocks cost, and a block's cost is
 * proportional to its distortion. So each decoder layer and each kind of block is measured once at
 * 3 bits with all else at 8; a block costs the product of both shares. Bits then go, from 3 bits
 * everywhere, to the block that gains most per bit, which is the best there is for that size up to
 * one block, since the gain per bit falls from 3 to 4 and from 4 to 8 bits.
 *
 * <p>The finer code is int8 rows and not a finer lattice: 64·E8 decodes to integers beyond int8,
 * which products do not take. Stateless and safe for concurrent use.
 */
final class MixedPrecision {

    private static final String UNIFORM_3 = "w3";
    private static final String UNIFORM_4 = "w4";
    private static final int FINEST = 8;

    private static final String[] KINDS = {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    };

    private MixedPrecision() {}

    /**
     * Lists what is to be measured before bits can be spent.
     *
     * @param layers the number of decoder layers
     * @return 3 and 4 bits everywhere, and 3 bits in one layer or kind of block with 8 elsewhere
     */
    static List<QuantizationConfig> probes(int layers) {
        List<String> methods = new ArrayList<>(List.of(UNIFORM_3, UNIFORM_4));
        for (String kind : KINDS) {
            methods.add(ofKind(kind));
        }
        for (int layer = 0; layer < layers; layer++) {
            methods.add(ofLayer(layer));
        }
        return methods.stream().map(QuantizationConfig::parse).toList();
    }

    private static String ofKind(String kind) {
        return "w8,w3=*." + kind;
    }

    private static String ofLayer(int layer) {
        return "w8,w3=model.layers." + layer + ".*";
    }

    /**
     * Spends bits.
     *
     * @param report rows of all {@link #probes}
     * @param layers the number of decoder layers
     * @param bits the average of all weights, scales included
     * @return 4 bits for most blocks and what each of the others has
     * @throws IllegalArgumentException if the average is below that of 3 bits everywhere or above
     *     that of 8
     */
    static QuantizationConfig allocate(ComparisonReport report, int layers, double bits) {
        Map<String, ComparisonRow> rows = new LinkedHashMap<>();
        report.rows().forEach(row -> rows.put(row.method(), row));
        ComparisonRow coarse = rows.get(UNIFORM_3);
        ComparisonRow fine = rows.get(UNIFORM_4);
        double least = coarse.bitsPerWeight();
        checkAverage(bits, least);
        double ofLayers = 0;
        for (int layer = 0; layer < layers; layer++) {
            ofLayers += rows.get(ofLayer(layer)).klDivergence();
        }
        double kept = fine.klDivergence() / coarse.klDivergence();
        List<Upgrade> upgrades = new ArrayList<>();
        double total = 0;
        Map<String, Integer> widths = new LinkedHashMap<>();
        for (CodedLayer block : coarse.layers()) {
            String name = checkpointName(block.name());
            String kind = name.substring(name.lastIndexOf('.') + 1);
            double cost =
                    rows.get(ofKind(kind)).klDivergence()
                            * rows.get(ofLayer(layerOf(name))).klDivergence()
                            / ofLayers;
            double toFour = block.weights() * (fine.bitsPerWeight() - least);
            double toEight = block.weights() * (FINEST - fine.bitsPerWeight());
            upgrades.add(new Upgrade(name, 4, toFour, cost * (1 - kept) / toFour));
            upgrades.add(new Upgrade(name, FINEST, toEight, cost * kept / toEight));
            widths.put(name, 3);
            total += block.weights();
        }
        spend(upgrades, (bits - least) * total, widths);
        return QuantizationConfig.parse(UNIFORM_4 + text(widths));
    }

    private static void checkAverage(double bits, double least) {
        if (!(bits >= least && bits <= FINEST)) {
            throw new IllegalArgumentException(
                    String.format(
                            Locale.ROOT,
                            "an average of %.2f bits cannot be had; this model takes %.2f to %d",
                            bits,
                            least,
                            FINEST));
        }
    }

    private static int layerOf(String name) {
        return Integer.parseInt(name.split("\\.")[2]);
    }

    /** Buys what gains most per bit; a block that the rest does not pay for is passed over. */
    private static void spend(List<Upgrade> upgrades, double budget, Map<String, Integer> widths) {
        upgrades.sort(Comparator.comparingDouble(Upgrade::gainPerBit).reversed());
        double left = budget;
        for (Upgrade upgrade : upgrades) {
            int before = upgrade.bits() == 4 ? 3 : 4;
            if (upgrade.size() <= left && widths.get(upgrade.block()) == before) {
                widths.put(upgrade.block(), upgrade.bits());
                left -= upgrade.size();
            }
        }
    }

    /** Returns the parts of a configuration for all blocks that do not have 4 bits. */
    private static String text(Map<String, Integer> widths) {
        StringBuilder text = new StringBuilder();
        Map<Integer, Map<String, Integer>> byLayer = new TreeMap<>();
        widths.forEach(
                (name, bits) ->
                        byLayer.computeIfAbsent(layerOf(name), layer -> new LinkedHashMap<>())
                                .put(name, bits));
        for (String kind : KINDS) { // a kind with the same bits in all layers is one part
            Predicate<String> ofKind = name -> name.endsWith("." + kind);
            List<Integer> bits = bits(widths, ofKind);
            if (bits.size() == 1) {
                append(text, bits.get(0), "*." + kind);
                byLayer.values().forEach(blocks -> blocks.keySet().removeIf(ofKind));
            }
        }
        byLayer.forEach(
                (layer, blocks) -> {
                    List<Integer> bits = bits(blocks, name -> true);
                    if (bits.size() == 1 && blocks.size() == KINDS.length) {
                        append(text, bits.get(0), "model.layers." + layer + ".*");
                    } else {
                        blocks.forEach((name, width) -> append(text, width, name));
                    }
                });
        return text.toString();
    }

    private static List<Integer> bits(Map<String, Integer> widths, Predicate<String> which) {
        return widths.keySet().stream().filter(which).map(widths::get).distinct().toList();
    }

    private static void append(StringBuilder text, int bits, String pattern) {
        if (bits != 4) {
            text.append(",w").append(bits).append('=').append(pattern);
        }
    }

    /** Turns {@code layer3/mlp/up_proj} into {@code model.layers.3.mlp.up_proj}. */
    private static String checkpointName(String path) {
        return path.replaceFirst("^layer(\\d+)/", "model.layers.$1.").replace('/', '.');
    }

    /**
     * More bits for a block.
     *
     * @param block its name
     * @param bits what it has afterwards
     * @param size bits that this takes in all
     * @param gainPerBit divergence that goes away for each of them
     */
    private record Upgrade(String block, int bits, double size, double gainPerBit) {}
}
