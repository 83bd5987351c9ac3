package ai.djl.nestquant.pipeline;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
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
 * Errors of codes over their rate, on a logarithmic scale, with the bound as a line.
 *
 * <p>Needs no display. Not thread-safe while points are added.
 */
public final class RatePlot {
    private static final int BOUND_POINTS = 100;
    private static final int WIDTH = 750;
    private static final int LEGEND = 200;
    private static final int HEIGHT = 750;

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
     * Writes the plot as a PNG image: errors on the left, their distance to the bound on the right.
     *
     * @param file where to, an existing file is replaced
     * @throws IOException if the file cannot be written
     */
    public void write(Path file) throws IOException {
        BufferedImage left = BitmapEncoder.getBufferedImage(errors());
        BufferedImage right = BitmapEncoder.getBufferedImage(distances());
        BufferedImage both =
                new BufferedImage(
                        left.getWidth() + right.getWidth(), HEIGHT, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = both.createGraphics();
        graphics.drawImage(left, 0, 0, null);
        graphics.drawImage(right, left.getWidth(), 0, null);
        graphics.dispose();
        try (OutputStream out = Files.newOutputStream(file)) {
            ImageIO.write(both, "png", out);
        }
    }

    /** The families' errors over the rate, and the bound. */
    private XYChart errors() {
        XYChart chart = chart(title + ", dashed: " + boundName, error, WIDTH);
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setLegendVisible(false);
        families.forEach((name, points) -> addFamily(chart, name, points, point -> point[1]));
        double[] ends =
                families.values().stream()
                        .flatMap(List::stream)
                        .mapToDouble(point -> point[0])
                        .sorted()
                        .toArray();
        double low = ends[0];
        double high = ends[ends.length - 1];
        double[] rates =
                IntStream.range(0, BOUND_POINTS)
                        .mapToDouble(i -> low + (high - low) * i / (BOUND_POINTS - 1))
                        .toArray();
        double[] values = Arrays.stream(rates).map(bound).toArray();
        XYSeries line = chart.addSeries(boundName, rates, values);
        line.setMarker(SeriesMarkers.NONE).setLineColor(Color.BLACK);
        return chart;
    }

    /** The families' decibels above the bound, where differences can be seen; with the legend. */
    private XYChart distances() {
        XYChart chart = chart("Distance to " + boundName, "dB", WIDTH + LEGEND);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
        ToDoubleFunction<double[]> decibels =
                point -> RateBounds.decibels(point[1], bound.applyAsDouble(point[0]));
        families.forEach((name, points) -> addFamily(chart, name, points, decibels));
        return chart;
    }

    private static XYChart chart(String title, String y, int width) {
        return new XYChartBuilder()
                .width(width)
                .height(HEIGHT)
                .title(title)
                .xAxisTitle("bits per entry")
                .yAxisTitle(y)
                .theme(Styler.ChartTheme.Matlab)
                .build();
    }

    private static void addFamily(
            XYChart chart, String name, List<double[]> points, ToDoubleFunction<double[]> value) {
        double[] rates = points.stream().mapToDouble(point -> point[0]).toArray();
        XYSeries series =
                chart.addSeries(name, rates, points.stream().mapToDouble(value).toArray());
        if (points.size() == 1) {
            series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
        }
    }
}
