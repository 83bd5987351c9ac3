package ai.djl.nestquant.pipeline;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Measures distortion against rate on N(0,1) for every code, beside Shannon's bound {@code
 * 2^(−2R)}.
 *
 * <p>All codes store the same sample. Stateless and thread-safe; a run uses all cores.
 */
public final class DistortionStudy {
    /** Long enough for the row scale to cost nothing: 32 bits on 8192 entries are 0.004 bits. */
    private static final int COLUMNS = 8192;

    private DistortionStudy() {}

    /**
     * What to measure.
     *
     * @param samples entries to draw, rounded up to rows of 8192
     * @param seed seed of the sample
     */
    public record Options(int samples, long seed) {
        /** 2^22 entries: distortions are good to about 0.2%. */
        public static final Options DEFAULT = new Options(1 << 22, 2026);

        /**
         * Checks the options.
         *
         * @throws IllegalArgumentException if samples is not between 1 and 2^28
         */
        public Options {
            if (samples < 1 || samples > 1 << 28) {
                throw new IllegalArgumentException(
                        "samples " + samples + " is not between 1 and " + (1 << 28));
            }
        }
    }

    /**
     * Runs the study over every code of {@link StudyCodes}.
     *
     * @param options sample and seed
     * @param progress told after each code
     * @return the report, rows ascending in rate
     */
    public static DistortionReport run(Options options, StudyProgress progress) {
        return run(options, StudyCodes.all(COLUMNS), progress);
    }

    /**
     * Runs the study over some codes.
     *
     * @param options sample and seed
     * @param codes what to measure
     * @param progress told after each code
     * @return the report, rows ascending in rate
     */
    static DistortionReport run(Options options, List<StudyCode> codes, StudyProgress progress) {
        int rows = (options.samples + COLUMNS - 1) / COLUMNS;
        float[] sample = GaussianRows.draw(rows, COLUMNS, options.seed);
        List<DistortionReport.Row> result = new ArrayList<>();
        for (StudyCode code : codes) {
            result.add(measure(code, sample));
            progress.measured(code.quantizer().name(), result.size(), codes.size());
        }
        result.sort(Comparator.comparingDouble(DistortionReport.Row::bitsPerEntry));
        return new DistortionReport(sample.length, options.seed, List.copyOf(result));
    }

    private static DistortionReport.Row measure(StudyCode code, float[] sample) {
        CodedRows coded = CodedRows.of(code.quantizer(), sample, COLUMNS);
        double rate = code.quantizer().bitsPerEntry(COLUMNS);
        double bound = RateBounds.distortion(rate);
        return new DistortionReport.Row(
                code.family(),
                code.code(),
                code.k(),
                rate,
                coded.distortion(),
                (double) coded.overloads() * code.unit() / sample.length,
                bound,
                RateBounds.decibels(coded.distortion(), bound));
    }
}
