package ai.djl.nestquant.pipeline;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.style.Styler;

/**
 * Where the time of a token goes, block by block.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param kernels what computes products with the coded weights
 * @param threads the threads of those kernels
 * @param rows one for reading a prompt, one for generating
 */
public record OverheadReport(String kernels, int threads, List<Row> rows) {

    /** The columns that add up to the total. */
    private static final String[] STAGES = {
        "rotation", "encoding", "decoding", "products", "host engine"
    };

    /**
     * One kind of pass, in milliseconds per token, means over all of its tokens.
     *
     * @param pass {@code prompt} or {@code step}
     * @param tokens the tokens of a pass
     * @param passes the passes measured
     * @param rotation rotations of activations and head vectors
     * @param encoding activations, keys and values to codes
     * @param decoding codes of keys, values and panels of weights to floats
     * @param products products with coded weights, decoding included where it is part of them
     * @param hostEngine everything else: float products, attention, norms, copies
     * @param total the sum
     * @param unobserved the same passes without a clock: where the kernels can, a whole layer is
     *     one call then, which cannot be taken apart
     */
    public record Row(
            String pass,
            int tokens,
            int passes,
            double rotation,
            double encoding,
            double decoding,
            double products,
            double hostEngine,
            double total,
            double unobserved) {

        private double[] stages() {
            return new double[] {rotation, encoding, decoding, products, hostEngine};
        }
    }

    /** Copies the rows. */
    public OverheadReport {
        rows = List.copyOf(rows);
    }

    /**
     * Returns the table for reading.
     *
     * @return milliseconds per token
     */
    public ReportTable toTable() {
        ReportTable table =
                new ReportTable(
                        "ms per token",
                        "tokens",
                        "rotation",
                        "encoding",
                        "decoding",
                        "products",
                        "host engine",
                        "total",
                        "unobserved");
        for (Row row : rows) {
            table.add(
                    row.pass,
                    row.tokens,
                    row.rotation,
                    row.encoding,
                    row.decoding,
                    row.products,
                    row.hostEngine,
                    row.total,
                    row.unobserved);
        }
        return table;
    }

    /**
     * Writes the shares as a PNG image with stacked bars.
     *
     * @param file where to, an existing file is replaced
     * @throws IOException if the file cannot be written
     */
    public void writePlot(Path file) throws IOException {
        CategoryChart chart =
                new CategoryChartBuilder()
                        .width(700)
                        .height(420)
                        .title("Where the time of a token goes, " + kernels + " kernels")
                        .yAxisTitle("share of the time")
                        .theme(Styler.ChartTheme.Matlab)
                        .build();
        chart.getStyler().setStacked(true);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setYAxisMax(1.0);
        List<String> passes = rows.stream().map(Row::pass).toList();
        for (int i = 0; i < STAGES.length; i++) {
            int stage = i;
            List<Double> shares = rows.stream().map(r -> r.stages()[stage] / r.total).toList();
            chart.addSeries(STAGES[i], passes, shares);
        }
        BufferedImage image = BitmapEncoder.getBufferedImage(chart);
        try (OutputStream out = Files.newOutputStream(file)) {
            ImageIO.write(image, "png", out);
        }
    }
}
