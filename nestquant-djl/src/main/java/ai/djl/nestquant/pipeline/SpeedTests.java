package ai.djl.nestquant.pipeline;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Which tests of speed to run: every prompt and every number of generated tokens, with an empty
 * cache and at each depth.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param prompts the tokens of prompts, 0 for none
 * @param generates how many tokens to generate one by one, 0 for none
 * @param depths how many tokens the cache holds before; an empty cache is always tested too
 * @param repetitions how often each test is timed
 */
public record SpeedTests(
        List<Integer> prompts, List<Integer> generates, List<Integer> depths, int repetitions) {

    /** Checks the numbers and makes the lists immutable. */
    public SpeedTests {
        check("a prompt", prompts);
        check("generated tokens", generates);
        check("the depth", depths);
        if (repetitions < 1) {
            throw new IllegalArgumentException(
                    "repetitions are " + repetitions + ", but must be at least 1");
        }
        prompts = List.copyOf(prompts);
        generates = List.copyOf(generates);
        depths = List.copyOf(depths);
        if (all(prompts, generates, depths).isEmpty()) {
            throw new IllegalArgumentException("neither a prompt nor generated tokens to measure");
        }
    }

    private static void check(String what, List<Integer> counts) {
        for (int count : counts) {
            if (count < 0) {
                throw new IllegalArgumentException(what + " cannot be " + count + " tokens");
            }
        }
    }

    /** One test: {@code tokens} at once or one by one, after {@code depth} others. */
    record SpeedTest(boolean prompt, int tokens, int depth) {

        String name() {
            return (prompt ? "pp" : "tg") + tokens + (depth == 0 ? "" : "@" + depth);
        }
    }

    /** Returns the tests, in the order in which they run. */
    List<SpeedTest> all() {
        return all(prompts, generates, depths);
    }

    private static List<SpeedTest> all(
            List<Integer> prompts, List<Integer> generates, List<Integer> depths) {
        Set<Integer> allDepths = new LinkedHashSet<>(List.of(0));
        allDepths.addAll(depths);
        Set<SpeedTest> tests = new LinkedHashSet<>();
        for (int depth : allDepths) {
            prompts.stream()
                    .filter(n -> n > 0)
                    .forEach(n -> tests.add(new SpeedTest(true, n, depth)));
            generates.stream()
                    .filter(n -> n > 0)
                    .forEach(n -> tests.add(new SpeedTest(false, n, depth)));
        }
        return new ArrayList<>(tests);
    }

    /**
     * Returns the positions that a model must have.
     *
     * @return the most tokens that a test has in the cache
     */
    public long positions() {
        return all().stream().mapToLong(t -> (long) t.depth() + t.tokens()).max().orElse(0);
    }

    /**
     * Returns how many runs are reported to the progress of {@link LanguageModel#speed}.
     *
     * @return all timed repetitions
     */
    public int runs() {
        return repetitions * all().size();
    }
}
