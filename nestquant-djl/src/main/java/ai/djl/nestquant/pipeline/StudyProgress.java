package ai.djl.nestquant.pipeline;

/** Is told how far a study has come; called from one thread. */
@FunctionalInterface
public interface StudyProgress {
    /** Tells nobody. */
    StudyProgress SILENT = (code, done, total) -> {};

    /**
     * Reports that a code has been measured.
     *
     * @param code its name
     * @param done codes measured so far
     * @param total codes to measure
     */
    void measured(String code, int done, int total);
}
