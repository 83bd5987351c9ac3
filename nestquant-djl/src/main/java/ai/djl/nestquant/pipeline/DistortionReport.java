package ai.djl.nestquant.pipeline;

import java.util.List;

/**
 * Distortion against rate on N(0,1), what {@link DistortionStudy} found.
 *
 * <p>Immutable and thread-safe.
 *
 * @param samples entries that every code stored
 * @param seed seed of the sample
 * @param rows one per code, ascending in rate
 */
public record DistortionReport(int samples, long seed, List<Row> rows) implements StudyReport {
    /**
     * One code.
     *
     * @param family codes that share a line in the plot
     * @param code the name without the number of scales
     * @param k the number of scales of the union, 1 for baselines
     * @param bitsPerEntry the rate R, scales included
     * @param distortion mean squared error per entry, the entries' variance being 1
     * @param overloadRate share of blocks (groups for baselines) that were shortened or clipped
     * @param bound {@code 2^(−2R)}
     * @param decibels distortion above the bound
     */
    public record Row(
            String family,
            String code,
            int k,
            double bitsPerEntry,
            double distortion,
            double overloadRate,
            double bound,
            double decibels) {}

    @Override
    public ReportTable toTable() {
        ReportTable table =
                new ReportTable(
                        "code", "k", "bitsPerEntry", "distortion", "overloadRate", "bound", "dB");
        for (Row row : rows) {
            table.add(
                    row.code,
                    row.k,
                    row.bitsPerEntry,
                    row.distortion,
                    row.overloadRate,
                    row.bound,
                    row.decibels);
        }
        return table;
    }

    @Override
    public RatePlot toPlot() {
        RatePlot plot =
                new RatePlot(
                        "Distortion of N(0,1) against rate",
                        "mean squared error",
                        "2^(-2R)",
                        RateBounds::distortion);
        for (Row row : rows) {
            plot.add(row.family, row.bitsPerEntry, row.distortion);
        }
        return plot;
    }
}
