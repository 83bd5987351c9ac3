package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * Zero-shot evaluation by log-likelihoods of continuations, as lm-evaluation-harness does it.
 *
 * <p>Context and continuation are tokenised together, without special tokens, and split at the
 * number of tokens that the context has alone; white space at the context's end goes to the
 * continuation. What is longer than the model's positions loses tokens at its beginning. Not safe
 * for concurrent use.
 */
public final class TaskEvaluation {

    private final Task task;
    private final List<TaskExample> examples;

    /**
     * Reads the examples of a task.
     *
     * @param task the task
     * @param file its examples, one JSON object a line
     * @param limit the number of examples to take, from the first; 0 for all
     * @throws IOException if the file cannot be read or a line is not as it must be
     */
    public TaskEvaluation(Task task, Path file, int limit) throws IOException {
        this.task = task;
        examples = task.read(file, limit);
    }

    /**
     * Returns the number of continuations that are scored.
     *
     * @return choices of all examples together
     */
    public int size() {
        return examples.stream().mapToInt(example -> example.continuations().size()).sum();
    }

    /**
     * Evaluates a model.
     *
     * @param model the model
     * @param onContinuation takes the number of continuations scored, after each batch
     * @return its accuracies
     * @throws IOException if the tokenizer cannot be read
     * @throws IllegalArgumentException if a context is empty or a continuation has no token of its
     *     own, or more than the model has positions
     */
    public TaskReport run(LanguageModel model, IntConsumer onContinuation) throws IOException {
        long start = System.nanoTime();
        List<Continuations.Request> requests = requests(model);
        Continuations.Score[] scores;
        try (NDManager manager = model.newManager()) {
            scores =
                    new Continuations(manager, model::logits, model.vocabularySize())
                            .score(requests, onContinuation);
        }
        return report(scores, (System.nanoTime() - start) / 1e9);
    }

    private List<Continuations.Request> requests(LanguageModel model) throws IOException {
        List<String> texts = new ArrayList<>();
        for (TaskExample example : examples) {
            for (int i = 0; i < example.continuations().size(); i++) {
                texts.add(example.contexts().get(i) + example.continuations().get(i));
                texts.add(example.contexts().get(i).stripTrailing());
            }
        }
        List<long[]> tokens = model.encode(texts);
        List<Continuations.Request> requests = new ArrayList<>();
        for (int i = 0; i < tokens.size(); i += 2) {
            requests.add(
                    request(tokens.get(i + 1), tokens.get(i), model.maxPositions(), texts.get(i)));
        }
        return requests;
    }

    /** Joins the context's own tokens with those that follow as many in the whole. */
    static Continuations.Request request(long[] context, long[] whole, int positions, String text) {
        int own = whole.length - context.length;
        if (context.length == 0 || own < 1 || own > positions) {
            throw new IllegalArgumentException(
                    String.format(
                            "\"%s\" has %d tokens of context and %d to score, but must have at"
                                    + " least one of each and score no more than the model's %d"
                                    + " positions",
                            text, context.length, own, positions));
        }
        int cut = Math.max(0, whole.length - 1 - positions);
        long[] ids = Arrays.copyOf(context, whole.length);
        System.arraycopy(whole, context.length, ids, context.length, own);
        int start = context.length - cut;
        if (start < 1) { // the first token to score needs one before it
            throw new IllegalArgumentException(
                    "\"" + text + "\" leaves no room for its context in " + positions);
        }
        return new Continuations.Request(Arrays.copyOfRange(ids, cut, ids.length), start);
    }

    private TaskReport report(Continuations.Score[] scores, double seconds) {
        int right = 0;
        int rightByLength = 0;
        double likelihood = 0;
        int at = 0;
        for (TaskExample example : examples) {
            int choices = example.continuations().size();
            double[] sums = new double[choices];
            double[] perCharacter = new double[choices];
            for (int i = 0; i < choices; i++) {
                sums[i] = scores[at + i].logLikelihood();
                perCharacter[i] = sums[i] / example.length(i);
            }
            if (choices == 1) {
                boolean greedy = scores[at].greedy();
                right += greedy ? 1 : 0;
                rightByLength += greedy ? 1 : 0;
            } else {
                right += largest(sums) == example.gold() ? 1 : 0;
                rightByLength += largest(perCharacter) == example.gold() ? 1 : 0;
            }
            likelihood += sums[0];
            at += choices;
        }
        int count = examples.size();
        double acc = (double) right / count;
        return new TaskReport(
                task.key(),
                count,
                acc,
                (double) rightByLength / count,
                count == 1 ? 0 : Math.sqrt(acc * (1 - acc) / (count - 1)),
                seconds,
                task == Task.LAMBADA ? (Double) Math.exp(-likelihood / count) : null);
    }

    private static int largest(double[] values) {
        return IntStream.range(0, values.length)
                .reduce(0, (best, i) -> values[i] > values[best] ? i : best);
    }
}
