package ai.djl.nestquant.pipeline;

import java.util.List;

/**
 * The error of products of quantised Gaussian matrices, what {@link ProductStudy} found.
 *
 * <p>Immutable and thread-safe.
 *
 * @param size n of the n × n matrices
 * @param seed seed of the matrices
 * @param criticalRate R*, below which the bound is linear
 * @param rows one per code, ascending in rate
 */
public record ProductReport(int size, long seed, double criticalRate, List<Row> rows)
        implements StudyReport {
    /**
     * One code.
     *
     * @param family codes that share a line in the plot
     * @param code the name without the number of scales
     * @param k the number of scales of the union, 1 for baselines
     * @param bitsPerEntry the rate R of either matrix, scales included
     * @param productError mean squared error of an entry of AᵀB, divided by n
     * @param bound Γ(R), what no code can beat
     * @param decibels error above the bound
     * @param distortion mean squared error of an entry of A and B
     */
    public record Row(
            String family,
            String code,
            int k,
            double bitsPerEntry,
            double productError,
            double bound,
            double decibels,
            double distortion) {}

    @Override
    public ReportTable toTable() {
        ReportTable table =
                new ReportTable(
                        "code", "k", "bitsPerEntry", "productError", "bound", "dB", "distortion");
        for (Row row : rows) {
            table.add(
                    row.code,
                    row.k,
                    row.bitsPerEntry,
                    row.productError,
                    row.bound,
                    row.decibels,
                    row.distortion);
        }
        return table;
    }

    @Override
    public RatePlot toPlot() {
        RatePlot plot =
                new RatePlot(
                        "Product of two quantised " + size + " x " + size + " Gaussian matrices",
                        "mean squared error of an entry / n",
                        "lower bound",
                        RateBounds::productError);
        for (Row row : rows) {
            plot.add(row.family, row.bitsPerEntry, row.productError);
        }
        return plot;
    }
}
