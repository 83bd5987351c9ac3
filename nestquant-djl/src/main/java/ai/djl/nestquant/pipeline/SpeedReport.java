package ai.djl.nestquant.pipeline;

import java.util.List;

/**
 * How fast a model reads and generates.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param model the model's directory or shape
 * @param quantization what is coded
 * @param bitsPerWeight bits that a coded weight is stored in, scales included; 32 where none is
 * @param weightBytes the bytes of all weights, coded or not
 * @param kernels what computes products with the coded weights; {@code PyTorch} where none is coded
 * @param bandwidthGBs the fastest that the same threads read memory in this run, 10^9 bytes per
 *     second
 * @param rows one for each test
 */
public record SpeedReport(
        String model,
        String quantization,
        double bitsPerWeight,
        long weightBytes,
        String kernels,
        double bandwidthGBs,
        List<Row> rows) {

    /**
     * One test.
     *
     * @param test {@code ppN} for a prompt of N tokens, {@code tgN} for N single tokens, followed
     *     by {@code @D} where the cache holds D tokens before
     * @param tokensPerSecond mean over the repetitions
     * @param deviation sample standard deviation, 0 for a single repetition
     * @param threads the threads that compute
     * @param samples each repetition's tokens per second
     */
    public record Row(
            String test,
            double tokensPerSecond,
            double deviation,
            int threads,
            List<Double> samples) {

        /** Makes the samples immutable. */
        public Row {
            samples = List.copyOf(samples);
        }

        /** Sums up the repetitions of a test. */
        static Row of(String test, int threads, List<Double> samples) {
            double mean = samples.stream().mapToDouble(x -> x).sum() / samples.size();
            double squares = samples.stream().mapToDouble(x -> (x - mean) * (x - mean)).sum();
            double deviation = samples.size() == 1 ? 0 : Math.sqrt(squares / (samples.size() - 1));
            return new Row(test, mean, deviation, threads, samples);
        }
    }

    /** Makes the list of rows immutable. */
    public SpeedReport {
        rows = List.copyOf(rows);
    }

    /**
     * Returns the table for reading.
     *
     * @return tokens per second of each test
     */
    public ReportTable toTable() {
        ReportTable table = new ReportTable("test", "threads", "tokens/s", "±");
        for (Row row : rows) {
            table.add(row.test, row.threads, row.tokensPerSecond, row.deviation);
        }
        return table;
    }
}
