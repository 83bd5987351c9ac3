package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.nestquant.model.KvCache;
import ai.djl.training.ParameterStore;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * Measures where the time of a token goes: rounds of a prompt and some greedy steps, the first
 * round not counted, under a {@link StageClock}. Not safe for concurrent use.
 */
final class OverheadStudy {

    private final CausalLm model;
    private final NDManager manager;
    private final long[] prompt;
    private final int steps;
    private final double[] promptTimes = new double[Stage.values().length + 1];
    private final double[] stepTimes = new double[Stage.values().length + 1];

    OverheadStudy(CausalLm model, NDManager manager, long[] prompt, int steps) {
        this.model = model;
        this.manager = manager;
        this.prompt = prompt;
        this.steps = steps;
    }

    OverheadReport run(int rounds, IntConsumer onRound) {
        Kernels kernels = Kernels.best();
        rounds(null, rounds, onRound);
        double prompts = promptTimes[promptTimes.length - 1];
        double others = stepTimes[stepTimes.length - 1];
        try (StageClock clock = StageClock.start()) {
            rounds(clock, rounds, round -> onRound.accept(rounds + round));
        }
        List<OverheadReport.Row> rows = new ArrayList<>();
        rows.add(row("prompt", prompt.length, rounds, promptTimes, prompts));
        rows.add(row("step", 1, rounds * steps, stepTimes, others));
        return new OverheadReport(kernels.name(), kernels.threads(), rows);
    }

    private void rounds(StageClock clock, int rounds, IntConsumer onRound) {
        for (int round = 0; round <= rounds; round++) {
            if (round <= 1) { // the first one warms up the compiler
                Arrays.fill(promptTimes, 0);
                Arrays.fill(stepTimes, 0);
            }
            round(clock);
            onRound.accept(round);
        }
    }

    private void round(StageClock clock) {
        try (NDManager scope = manager.newSubManager();
                KvCache cache = model.newCache(scope, prompt.length + steps)) {
            long next = pass(clock, scope, cache, prompt, promptTimes);
            for (int i = 0; i < steps; i++) {
                next = pass(clock, scope, cache, new long[] {next}, stepTimes);
            }
        }
    }

    private long pass(
            StageClock clock, NDManager parent, KvCache cache, long[] ids, double[] times) {
        try (NDManager scope = parent.newSubManager()) {
            NDArray input = scope.create(ids, new Shape(1, ids.length));
            if (clock != null) {
                clock.reset();
            }
            long start = System.nanoTime();
            NDArray logits = model.logits(new ParameterStore(scope, false), input, cache, true);
            times[times.length - 1] += (System.nanoTime() - start) / 1e9;
            for (Stage stage : Stage.values()) {
                times[stage.ordinal()] += clock == null ? 0 : clock.seconds(stage);
            }
            return logits.argMax(-1).toLongArray()[0];
        }
    }

    private static OverheadReport.Row row(
            String pass, int tokens, int passes, double[] times, double unobserved) {
        double unit = 1e3 / ((double) passes * tokens);
        double[] ms = Arrays.stream(times).map(t -> unit * t).toArray();
        double total = ms[ms.length - 1];
        double coded = 0;
        for (Stage stage : Stage.values()) {
            coded += ms[stage.ordinal()];
        }
        return new OverheadReport.Row(
                pass,
                tokens,
                passes,
                ms[Stage.ROTATION.ordinal()],
                ms[Stage.ENCODING.ordinal()],
                ms[Stage.DECODING.ordinal()],
                ms[Stage.PRODUCTS.ordinal()],
                total - coded,
                total,
                unit * unobserved);
    }
}
