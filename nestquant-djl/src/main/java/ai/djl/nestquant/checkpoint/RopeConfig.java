package ai.djl.nestquant.checkpoint;

import java.util.HashSet;
import java.util.Set;

/**
 * Rotary position embedding of a model: base frequencies {@code theta^(-2i/headSize)} and how they
 * are scaled for long contexts.
 *
 * <p>{@code LINEAR} divides all frequencies by {@code factor}. {@code LLAMA3} divides those whose
 * wavelength exceeds {@code originalMaxPositions / lowFreqFactor} by {@code factor}, keeps those
 * below {@code originalMaxPositions / highFreqFactor}, and interpolates between. Thread-safe
 * (immutable).
 *
 * @param type how frequencies are scaled
 * @param theta the base of the frequencies
 * @param factor the scale, 1 for {@code DEFAULT}
 * @param lowFreqFactor {@code LLAMA3} only, else 0
 * @param highFreqFactor {@code LLAMA3} only, larger than {@code lowFreqFactor}, else 0
 * @param originalMaxPositions positions before scaling, {@code LLAMA3} only, else 0
 */
public record RopeConfig(
        Type type,
        double theta,
        double factor,
        double lowFreqFactor,
        double highFreqFactor,
        int originalMaxPositions) {

    private static final double DEFAULT_THETA = 10000;
    private static final double MAX_THETA = 1e15;
    private static final double MAX_FACTOR = 1e6;
    private static final String SUPPORTED = "default, linear, llama3";

    private static final String THETA = "rope_theta";
    private static final String SCALING = "rope_scaling";
    private static final String PARAMETERS = "rope_parameters";
    private static final String FACTOR = "factor";
    private static final String LOW = "low_freq_factor";
    private static final String HIGH = "high_freq_factor";
    private static final String ORIGINAL = "original_max_position_embeddings";

    /** How the frequencies are scaled. */
    public enum Type {
        /** Not at all. */
        DEFAULT,
        /** All by one factor. */
        LINEAR,
        /** By wavelength, as Llama 3.1 does. */
        LLAMA3
    }

    /**
     * Reads the older spelling ({@code rope_theta} and {@code rope_scaling}) or the newer one
     * ({@code rope_parameters}); where both stand they must agree.
     */
    static RopeConfig parse(ConfigSection config) throws CheckpointException {
        double theta = config.number(THETA, DEFAULT_THETA, Double.MIN_NORMAL, MAX_THETA);
        RopeConfig older = new RopeConfig(Type.DEFAULT, theta, 1, 0, 0, 0);
        if (config.has(SCALING)) {
            older = parse(config.section(SCALING), theta);
        }
        if (!config.has(PARAMETERS)) {
            return older;
        }
        RopeConfig newer = parse(config.section(PARAMETERS), theta);
        boolean same = !config.has(THETA) || newer.theta == theta;
        if (!same || config.has(SCALING) && !newer.equals(older)) {
            throw config.error(PARAMETERS, "contradicts " + THETA + " or " + SCALING);
        }
        return newer;
    }

    private static RopeConfig parse(ConfigSection section, double defaultTheta)
            throws CheckpointException {
        double theta = section.number(THETA, defaultTheta, Double.MIN_NORMAL, MAX_THETA);
        String name = typeName(section);
        Set<String> known = new HashSet<>(Set.of("type", "rope_type", THETA));
        RopeConfig rope;
        switch (name) {
            case "default":
                rope = new RopeConfig(Type.DEFAULT, theta, 1, 0, 0, 0);
                break;
            case "linear":
                known.add(FACTOR);
                rope = new RopeConfig(Type.LINEAR, theta, factor(section), 0, 0, 0);
                break;
            case "llama3":
                known.addAll(Set.of(FACTOR, LOW, HIGH, ORIGINAL));
                rope = parseLlama3(section, theta);
                break;
            default:
                throw section.unsupported(
                        section.has("rope_type") ? "rope_type" : "type", SUPPORTED);
        }
        if (section.number("partial_rotary_factor", 1, 0, 1) != 1) {
            throw section.unsupported("partial_rotary_factor", "1");
        }
        known.add("partial_rotary_factor");
        for (String key : section.keys()) {
            if (!known.contains(key)) {
                throw section.unsupported(key, "for rope type " + name + " the keys " + known);
            }
        }
        return rope;
    }

    private static RopeConfig parseLlama3(ConfigSection section, double theta)
            throws CheckpointException {
        double low = section.number(LOW, Double.MIN_NORMAL, MAX_FACTOR);
        double high = section.number(HIGH, Double.MIN_NORMAL, MAX_FACTOR);
        if (high <= low) {
            throw section.error(HIGH, "= " + high + " must exceed " + LOW + " = " + low);
        }
        int original = section.integer(ORIGINAL, 1, ModelConfig.MAX_POSITIONS);
        return new RopeConfig(Type.LLAMA3, theta, factor(section), low, high, original);
    }

    private static double factor(ConfigSection section) throws CheckpointException {
        return section.number(FACTOR, 1, MAX_FACTOR);
    }

    private static String typeName(ConfigSection section) throws CheckpointException {
        String older = section.text("type", null);
        String newer = section.text("rope_type", older);
        if (older != null && !older.equals(newer)) {
            throw section.error("rope_type", "= " + newer + " contradicts type = " + older);
        }
        return newer == null ? "default" : newer;
    }
}
