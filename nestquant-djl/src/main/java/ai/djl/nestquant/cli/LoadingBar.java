package ai.djl.nestquant.cli;

import ai.djl.util.Progress;
import me.tongfei.progressbar.ProgressBar;

/**
 * A bar of the layers that have been quantised while a model is loaded; appears only when that
 * takes longer than a moment, and on the process's own standard error. Not safe for concurrent use.
 */
final class LoadingBar implements Progress, AutoCloseable {

    private static final long MOMENT_NANOS = 3_000_000_000L;

    private final ReportCommand<?> command;
    private final long start = System.nanoTime();
    private String what;
    private long max;
    private long done;
    private ProgressBar bar;

    /** Makes a bar on the standard error of a command. */
    LoadingBar(ReportCommand<?> command) {
        this.command = command;
    }

    /** {@inheritDoc} */
    @Override
    public void reset(String message, long max, String trailingMessage) {
        what = message;
        this.max = max;
    }

    /** {@inheritDoc} */
    @Override
    public void start(long initialProgress) {
        update(initialProgress);
    }

    /** {@inheritDoc} */
    @Override
    public void end() {
        update(max);
    }

    /** {@inheritDoc} */
    @Override
    public void increment(long increment) {
        update(done + increment);
    }

    /** {@inheritDoc} */
    @Override
    public void update(long progress, String message) {
        done = progress;
        boolean late = System.nanoTime() - start > MOMENT_NANOS;
        if (bar == null && done < max && late && command.streams().err() == System.err) {
            bar = command.progressBar(what, Math.toIntExact(max));
        }
        if (bar != null) {
            bar.stepTo(done);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
