package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.model.CodedLayer;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * The plots of a comparison, as PNG images; need no display.
 *
 * <p>Stateless and safe for concurrent use.
 */
final class ComparisonPlots {

    private static final int WIDTH = 560;
    private static final int LEGEND = 300;
    private static final int HEIGHT = 420;

    private ComparisonPlots() {}

    /** Returns all plots by title, whose last word tells them apart. */
    static Map<String, byte[]> all(ComparisonReport report) throws IOException {
        Map<String, byte[]> plots = overBits(report);
        byte[] distortion = perLayer(report);
        if (distortion != null) {
            plots.put("Distortion of the Linear blocks, by layers", distortion);
        }
        byte[] costs = layerCosts(report);
        if (costs != null) {
            plots.put("KL of one layer alone, by costs", costs);
        }
        return plots;
    }

    /** Returns KL and perplexity over bits, one image for each regime. */
    private static Map<String, byte[]> overBits(ComparisonReport report) throws IOException {
        Map<String, byte[]> plots = new LinkedHashMap<>();
        List<String> regimes =
                report.rows().stream().map(ComparisonRow::regime).distinct().toList();
        for (String regime : regimes) {
            List<ComparisonRow> rows =
                    report.rows().stream()
                            .filter(row -> row.regime().equals(regime) && row.klDivergence() > 0)
                            .toList();
            if (!rows.isEmpty()) {
                plots.put("KL and perplexity over bits, " + regime, overBits(regime, rows));
            }
        }
        return plots;
    }

    private static byte[] overBits(String regime, List<ComparisonRow> rows) throws IOException {
        XYChart kl = chart(regime + ": KL, nats per token", "bits per entry", WIDTH, false);
        XYChart perplexity = chart(regime + ": perplexity", "bits per entry", WIDTH + LEGEND, true);
        kl.getStyler().setYAxisMin(0.0);
        for (ComparisonRow row : rows) {
            point(kl, row, ComparisonRow::klDivergence);
            point(perplexity, row, ComparisonRow::perplexity);
        }
        return png(kl, perplexity);
    }

    private static void point(
            XYChart chart, ComparisonRow row, ToDoubleFunction<ComparisonRow> value) {
        double bits = row.layers().isEmpty() ? row.bitsPerCacheEntry() : row.bitsPerWeight();
        chart.addSeries(row.label(), new double[] {bits}, new double[] {value.applyAsDouble(row)})
                .setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
    }

    /** Returns the distortions of the coded blocks, a line for each method whose weights differ. */
    private static byte[] perLayer(ComparisonReport report) throws IOException {
        XYChart chart =
                chart("Distortion per Linear block", "block, in order", 2 * WIDTH + LEGEND, true);
        chart.getStyler().setYAxisMin(0.0);
        Map<String, List<Double>> lines = new LinkedHashMap<>();
        for (ComparisonRow row : report.rows()) {
            List<Double> errors = row.layers().stream().map(CodedLayer::distortion).toList();
            // cache and activations do not change weights, but heads are rotated for the cache
            String weights = row.label().replaceFirst("(a[48])?(kv4)?(?=,|$)", "");
            if (!errors.isEmpty() && errors.stream().allMatch(error -> error > 0)) {
                lines.putIfAbsent(weights, errors);
            }
        }
        if (lines.isEmpty()) {
            return null;
        }
        lines.forEach(
                (name, errors) -> {
                    double[] blocks = IntStream.range(0, errors.size()).asDoubleStream().toArray();
                    double[] values = errors.stream().mapToDouble(Double::doubleValue).toArray();
                    chart.addSeries(name, blocks, values).setMarker(SeriesMarkers.NONE);
                });
        return png(chart);
    }

    /** Returns what the methods' parts cost layer by layer, or null if that was not measured. */
    private static byte[] layerCosts(ComparisonReport report) throws IOException {
        Map<String, List<Double>> parts = report.layerCostsByPart();
        if (parts.isEmpty()) {
            return null;
        }
        XYChart chart =
                chart("KL of one layer alone, nats", "decoder layer", 2 * WIDTH + LEGEND, true);
        parts.forEach(
                (part, costs) -> {
                    double[] layers = IntStream.range(0, costs.size()).asDoubleStream().toArray();
                    double[] values = costs.stream().mapToDouble(Double::doubleValue).toArray();
                    chart.addSeries(part, layers, values).setMarker(SeriesMarkers.NONE);
                });
        return png(chart);
    }

    private static XYChart chart(String title, String x, int width, boolean legend) {
        XYChart chart =
                new XYChartBuilder()
                        .width(width)
                        .height(HEIGHT)
                        .title(title)
                        .xAxisTitle(x)
                        .theme(Styler.ChartTheme.Matlab)
                        .build();
        chart.getStyler().setDecimalPattern("0.####");
        chart.getStyler().setLegendVisible(legend);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
        return chart;
    }

    private static byte[] png(XYChart... charts) throws IOException {
        int width = 0;
        for (XYChart chart : charts) {
            width += chart.getWidth();
        }
        BufferedImage all = new BufferedImage(width, HEIGHT, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = all.createGraphics();
        int x = 0;
        for (XYChart chart : charts) {
            graphics.drawImage(BitmapEncoder.getBufferedImage(chart), x, 0, null);
            x += chart.getWidth();
        }
        graphics.dispose();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.write(all, "png", out);
        return out.toByteArray();
    }
}
