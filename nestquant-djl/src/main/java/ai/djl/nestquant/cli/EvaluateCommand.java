package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.LanguageModel;
import ai.djl.nestquant.pipeline.Task;
import ai.djl.nestquant.pipeline.TaskEvaluation;
import ai.djl.nestquant.pipeline.TaskReport;
import java.io.IOException;
import java.nio.file.Path;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nestquant evaluate}. Not safe for concurrent use. */
@Command(
        name = "evaluate",
        description = {
            "Scores a zero-shot task by the log-likelihoods of continuations, with the prompts and"
                    + " accuracies of lm-evaluation-harness and no special tokens.",
            "The data is a file with one JSON object a line, with the fields that the task's"
                    + " authors or HuggingFace publish, or query, choices and gold."
        },
        sortOptions = false)
final class EvaluateCommand extends ModelCommand<TaskReport> {

    @Option(
            names = "--task",
            paramLabel = "NAME",
            required = true,
            description = "piqa, arc, hellaswag, winogrande or lambada")
    private String name;

    @Option(
            names = "--data",
            paramLabel = "FILE",
            required = true,
            description = "the examples, JSON lines")
    private Path file;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "0",
            description = "take the first N examples only; 0 for all (default)")
    private int limit;

    private TaskEvaluation evaluation;

    /** {@inheritDoc} */
    @Override
    void prepare() throws IOException {
        if (limit < 0) {
            throw wrongUsage("--limit is " + limit + ", but must be 0 (all) or more");
        }
        Task task;
        try {
            task = Task.of(name);
        } catch (IllegalArgumentException e) {
            throw wrongUsage("--task: " + e.getMessage());
        }
        evaluation = new TaskEvaluation(task, file, limit);
    }

    /** {@inheritDoc} */
    @Override
    TaskReport run(LanguageModel loaded) throws IOException {
        try (ProgressBar bar = progressBar("continuations", evaluation.size())) {
            return evaluation.run(loaded, bar::stepTo);
        }
    }

    /** {@inheritDoc} */
    @Override
    void print(TaskReport report) {
        row("task", "%s", report.task());
        row("examples", "%,d", report.examples());
        row("accuracy", "%.2f %% +- %.2f", 100 * report.acc(), 100 * report.stderr());
        row("by length", "%.2f %%", 100 * report.accNorm());
        if (report.perplexity() != null) {
            row("perplexity", "%.4f", report.perplexity());
        }
        row("seconds", "%.1f", report.seconds());
    }
}
