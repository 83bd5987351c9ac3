package ai.djl.nestquant.pipeline;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Errors of codes over their rate, on a logarithmic scale, with the bound as a line.
 *
 * <p>Needs no display. Not thread-safe while points are added.
 */
public final class RatePlot {
    private static final int BOUND_POINTS = 100;

    private final String title;
    private final String error;
    private final String boundName;
    private final DoubleUnaryOperator bound;
    private final Map<String, List<double[]>> families = new LinkedHashMap<>();

    RatePlot(String title, String error, String boundName, DoubleUnaryOperator bound) {
        this.title = title;
        this.error = error;
        this.boundName = boundName;
        this.bound = bound;
    }

    void add(String family, double rate, double value) {
        families.computeIfAbsent(family, name -> new ArrayList<>()).add(new double[] {rate, value});
    }

    /**
     * Writes the plot as a PNG image.
     *
     * @param file where to, an existing file is replaced
     * @throws IOException if the file cannot be written
     */
    public void write(Path file) throws IOException {
        byte[] png = BitmapEncoder.getBitmapBytes(chart(), BitmapEncoder.BitmapFormat.PNG);
        Files.write(file, png);
    }

    private XYChart chart() {
        XYChart chart =
                new XYChartBuilder()
                        .width(1100)
                        .height(750)
                        .title(title)
                        .xAxisTitle("bits per entry")
                        .yAxisTitle(error)
                        .theme(Styler.ChartTheme.Matlab)
                        .build();
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
        addBound(chart);
        families.forEach((name, points) -> addFamily(chart, name, points));
        return chart;
    }

    private void addBound(XYChart chart) {
        double low = Double.POSITIVE_INFINITY;
        double high = 0;
        for (List<double[]> points : families.values()) {
            for (double[] point : points) {
                low = Math.min(low, point[0]);
                high = Math.max(high, point[0]);
            }
        }
        double[] rates = new double[BOUND_POINTS];
        double[] values = new double[BOUND_POINTS];
        for (int i = 0; i < BOUND_POINTS; i++) {
            rates[i] = low + (high - low) * i / (BOUND_POINTS - 1);
            values[i] = bound.applyAsDouble(rates[i]);
        }
        chart.addSeries(boundName, rates, values).setMarker(SeriesMarkers.NONE);
    }

    private static void addFamily(XYChart chart, String name, List<double[]> points) {
        double[] rates = points.stream().mapToDouble(point -> point[0]).toArray();
        double[] values = points.stream().mapToDouble(point -> point[1]).toArray();
        XYSeries series = chart.addSeries(name, rates, values);
        if (points.size() == 1) {
            series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
        }
    }
}
