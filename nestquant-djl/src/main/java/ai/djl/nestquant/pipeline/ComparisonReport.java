package ai.djl.nestquant.pipeline;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Methods side by side, what {@link Comparison} found.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param settings what all rows have in common
 * @param rows one per method, in the order asked for
 * @param layerCosts what the methods cost layer by layer, empty if that was not asked
 */
public record ComparisonReport(
        ComparisonSettings settings, List<ComparisonRow> rows, List<LayerCost> layerCosts) {

    private static final Gson JSON =
            new GsonBuilder().disableHtmlEscaping().setPrettyPrinting().create();

    private static final String BASELINE = "code=int4";

    /** Copies the rows and gives each its share of the baseline in the same regime. */
    public ComparisonReport {
        List<ComparisonRow> all = List.copyOf(rows);
        rows = all.stream().map(row -> row.against(baseline(row, all))).toList();
        layerCosts = layerCosts == null ? List.of() : List.copyOf(layerCosts); // null in JSON
    }

    /** Constructs a report without costs of layers. */
    ComparisonReport(ComparisonSettings settings, List<ComparisonRow> rows) {
        this(settings, rows, List.of());
    }

    /**
     * Adds what {@link Comparison#perLayer} found.
     *
     * @param costs the costs
     * @return a report with the same rows
     */
    public ComparisonReport withLayerCosts(List<LayerCost> costs) {
        return new ComparisonReport(settings, rows, costs);
    }

    /**
     * Rotated int4 with the same parts beside the code, or else rotated int4 as it comes, in the
     * same regime; null where there is neither.
     */
    private static ComparisonRow baseline(ComparisonRow row, List<ComparisonRow> rows) {
        String twin = parts(row.method());
        ComparisonRow plain = null;
        for (ComparisonRow other : rows) {
            if (other.regime().equals(row.regime()) && other.method().contains(BASELINE)) {
                if (parts(other.method()).equals(twin)) {
                    return other;
                }
                if (parts(other.method()).indexOf(',') < 0) {
                    plain = other;
                }
            }
        }
        return plain;
    }

    /** Returns a method's text without its code. */
    private static String parts(String method) {
        return method.replaceFirst(",code=\\w+", "");
    }

    /**
     * Returns everything, layers included.
     *
     * @return a JSON object with the keys {@code settings} and {@code rows}
     */
    public String toJson() {
        return JSON.toJson(this);
    }

    static ComparisonReport ofJson(String json) {
        return JSON.fromJson(json, ComparisonReport.class);
    }

    /**
     * Returns the table for reading.
     *
     * @return the rows, shortened to what fits a line
     */
    public ReportTable toTable() {
        ReportTable table =
                new ReportTable(
                        "method",
                        "regime",
                        "bits",
                        "KV bits",
                        "MB",
                        "perplexity",
                        "gap",
                        "gap removed",
                        "KL",
                        "KL removed",
                        "top-1",
                        "tokens/s",
                        "peak MB",
                        "quantise s");
        for (ComparisonRow row : rows) {
            table.add(
                    row.label(),
                    row.regime(),
                    format("%.2f", row.bitsPerWeight()),
                    format("%.2f", row.bitsPerCacheEntry()),
                    format("%.0f", row.weightBytes() / 1e6),
                    format("%.2f", row.perplexity()),
                    withMargin("%.2f", row.gap(), row.gapLow(), row.gapHigh()),
                    percent(row.gapRemoved()),
                    withMargin("%.4f", row.klDivergence(), row.klLow(), row.klHigh()),
                    percent(row.klRemoved()),
                    percent(row.top1Agreement()),
                    row.stepTokensPerSecond() == null
                            ? ""
                            : format("%.1f", row.stepTokensPerSecond()),
                    row.peakResidentBytes() == null
                            ? ""
                            : format("%.0f", row.peakResidentBytes() / 1e6),
                    row.quantizationSeconds() == null
                            ? ""
                            : format("%.1f", row.quantizationSeconds()));
        }
        return table;
    }

    /**
     * Returns the table in the paper's layout: a line for each code, a column for each regime, with
     * perplexity and KL divergence.
     *
     * @return the pivoted rows; cells of what has not been measured are empty
     */
    public ReportTable toPaperTable() {
        List<String> regimes =
                rows.stream()
                        .map(ComparisonRow::regime)
                        .filter(regime -> !regime.equals(ComparisonRow.FLOAT))
                        .distinct()
                        .toList();
        Map<String, Object[]> lines = new LinkedHashMap<>();
        for (ComparisonRow row : rows) {
            String code = line(row.label());
            boolean exact = row.regime().equals(ComparisonRow.FLOAT);
            String cell = format("%.2f", row.perplexity());
            Object[] cells =
                    lines.computeIfAbsent(
                            exact ? "float" : code,
                            name -> {
                                Object[] empty = new Object[regimes.size() + 1];
                                Arrays.fill(empty, exact ? cell : "");
                                empty[0] = name;
                                return empty;
                            });
            if (!exact) {
                cells[regimes.indexOf(row.regime()) + 1] =
                        cell + format(" (%.3f)", row.klDivergence());
            }
        }
        List<String> columns = new ArrayList<>(regimes);
        columns.add(0, "perplexity (KL)");
        ReportTable table = new ReportTable(columns.toArray(String[]::new));
        lines.values().forEach(table::add);
        return table;
    }

    /** Names the line of a method: its bits of weights, if not 4, and what else follows. */
    private static String line(String method) {
        String code = method.replaceFirst("^[^,]*,?", "");
        if (!code.contains("code=")) {
            code = code.isEmpty() ? "code=d8" : "code=d8," + code;
        }
        return method.matches("w[38].*") ? method.substring(0, 2) + "," + code : code;
    }

    /**
     * Returns what each part of each method costs in each decoder layer.
     *
     * @return a line for each layer and one for their sum, a column of nats per token for each part
     */
    public ReportTable toSensitivityTable() {
        Map<String, List<Double>> parts = layerCostsByPart();
        List<String> columns = new ArrayList<>(List.of("layer"));
        columns.addAll(parts.keySet());
        ReportTable table = new ReportTable(columns.toArray(String[]::new));
        int layers = parts.values().stream().mapToInt(List::size).max().orElse(0);
        for (int i = 0; i < layers; i++) {
            int layer = i;
            List<Object> cells = new ArrayList<>(List.of(layer));
            parts.values().forEach(costs -> cells.add(format("%.5f", costs.get(layer))));
            table.add(cells.toArray());
        }
        List<Object> sums = new ArrayList<>(List.of("sum"));
        for (List<Double> costs : parts.values()) {
            sums.add(format("%.5f", costs.stream().mapToDouble(Double::doubleValue).sum()));
        }
        table.add(sums.toArray());
        return table;
    }

    /** Returns the divergences of all layers by part and method. */
    Map<String, List<Double>> layerCostsByPart() {
        Map<String, List<Double>> parts = new LinkedHashMap<>();
        for (LayerCost cost : layerCosts) {
            parts.computeIfAbsent(cost.part() + " of " + cost.method(), part -> new ArrayList<>())
                    .add(cost.klDivergence());
        }
        return parts;
    }

    private static String format(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    private static String percent(Double share) {
        return share == null ? "" : format("%.1f%%", 100 * share);
    }

    private static String withMargin(String format, double value, Double low, Double high) {
        String text = format(format, value);
        return low == null ? text : text + " ±" + format(format, (high - low) / 2);
    }

    /**
     * Returns the table in full, without layers.
     *
     * @return a column for each component of {@link ComparisonRow}, absent values empty
     */
    public ReportTable toFullTable() {
        ReportTable table =
                new ReportTable(
                        "method",
                        "calibration",
                        "regime",
                        "simulated",
                        "bitsPerWeight",
                        "bitsPerCacheEntry",
                        "weightBytes",
                        "perplexity",
                        "gap",
                        "gapLow",
                        "gapHigh",
                        "klDivergence",
                        "klLow",
                        "klHigh",
                        "top1Agreement",
                        "gapRemoved",
                        "klRemoved",
                        "prefillTokensPerSecond",
                        "stepTokensPerSecond",
                        "peakResidentBytes",
                        "quantizationSeconds",
                        "scoringSeconds",
                        "kernels");
        for (ComparisonRow row : rows) {
            table.add(
                    row.method(),
                    orEmpty(row.calibration()),
                    row.regime(),
                    row.simulated(),
                    row.bitsPerWeight(),
                    row.bitsPerCacheEntry(),
                    row.weightBytes(),
                    row.perplexity(),
                    row.gap(),
                    orEmpty(row.gapLow()),
                    orEmpty(row.gapHigh()),
                    row.klDivergence(),
                    orEmpty(row.klLow()),
                    orEmpty(row.klHigh()),
                    row.top1Agreement(),
                    orEmpty(row.gapRemoved()),
                    orEmpty(row.klRemoved()),
                    orEmpty(row.prefillTokensPerSecond()),
                    orEmpty(row.stepTokensPerSecond()),
                    orEmpty(row.peakResidentBytes()),
                    orEmpty(row.quantizationSeconds()),
                    row.scoringSeconds(),
                    row.kernels());
        }
        return table;
    }

    private static Object orEmpty(Object value) {
        return value == null ? "" : value;
    }
}
