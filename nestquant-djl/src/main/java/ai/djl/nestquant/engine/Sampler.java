package ai.djl.nestquant.engine;

import java.util.BitSet;
import java.util.SplittableRandom;

/**
 * Chooses the next token from logits, in the order and with the conventions of HuggingFace
 * transformers.
 *
 * <ol>
 *   <li>Repetition penalty: the logit of every token that has occurred, in the prompt or since, is
 *       divided by the penalty if positive and multiplied by it otherwise.
 *   <li>Temperature 0: the largest logit wins, the lowest id on ties. Otherwise logits are divided
 *       by the temperature.
 *   <li>Top-k: only the k largest stay, and whatever ties with the k-th.
 *   <li>Top-p: of what is left, sorted by falling probability (rising id on ties), a token stays
 *       while the probabilities before it sum to less than p; the first always stays.
 *   <li>One uniform number u in [0, 1) picks the first token whose cumulated probability exceeds u.
 * </ol>
 *
 * <p>The numbers come from SplitMix64 (state += 0x9e3779b97f4a7c15, then two multiply-xorshift
 * rounds; u is the top 53 bits times 2^-53) and exponentials from {@link StrictMath}, so that equal
 * logits and seeds give equal tokens on every Java version. Belongs to one sequence; not safe for
 * concurrent use. Allocates its scratch (8 bytes per vocabulary entry) once.
 */
public final class Sampler {

    private final GenerationParameters parameters;
    private final BitSet occurred = new BitSet();
    private final RankedTokens ranked = new RankedTokens();
    private long randomState;
    private float[] scores = {};

    /**
     * Creates a sampler for one sequence.
     *
     * @param parameters how to choose; without a seed the choices differ from run to run
     */
    public Sampler(GenerationParameters parameters) {
        this.parameters = parameters;
        randomState = parameters.seed().orElseGet(() -> new SplittableRandom().nextLong());
    }

    /**
     * Notes tokens that the sequence already holds, for the repetition penalty.
     *
     * @param ids the tokens
     */
    public void accept(long... ids) {
        for (long id : ids) {
            occurred.set(Math.toIntExact(id));
        }
    }

    /**
     * Chooses the next token and notes it as {@link #accept} does.
     *
     * @param logits one per vocabulary entry; not changed. Negative infinity excludes a token
     * @return the token's id
     * @throws IllegalStateException if a logit is not a number or plus infinity, or all tokens are
     *     excluded
     */
    public int next(float[] logits) {
        int best = checkedArgMax(logits);
        boolean penalised = parameters.repetitionPenalty() != 1 && !occurred.isEmpty();
        if (!parameters.isGreedy() || penalised) {
            reserve(logits.length);
            System.arraycopy(logits, 0, scores, 0, logits.length);
            if (penalised) {
                penalise(logits.length);
                best = argMax(scores, logits.length);
            }
            if (!parameters.isGreedy()) {
                best = sample(logits.length, scores[best]);
            }
        }
        occurred.set(best);
        return best;
    }

    private static int checkedArgMax(float[] logits) {
        if (logits.length == 0) {
            throw new IllegalStateException("there are no logits to choose from");
        }
        for (int i = 0; i < logits.length; i++) {
            if (!(logits[i] < Float.POSITIVE_INFINITY)) {
                throw new IllegalStateException(
                        "the logit of token "
                                + i
                                + " is "
                                + logits[i]
                                + ": the model's weights or their quantisation are damaged");
            }
        }
        int best = argMax(logits, logits.length);
        if (logits[best] == Float.NEGATIVE_INFINITY) {
            throw new IllegalStateException("the logits of all tokens are -Infinity");
        }
        return best;
    }

    private static int argMax(float[] values, int count) {
        int best = 0;
        for (int i = 1; i < count; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best;
    }

    private void reserve(int count) {
        if (scores.length < count) {
            scores = new float[count];
        }
    }

    private void penalise(int count) {
        float penalty = (float) parameters.repetitionPenalty();
        for (int id = occurred.nextSetBit(0); id >= 0 && id < count; ) {
            scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
            id = occurred.nextSetBit(id + 1);
        }
    }

    /** Samples from scores[0..count), whose maximum is given. */
    private int sample(int count, float maximum) {
        // relative to the maximum, so that a tiny temperature overflows to -Infinity only
        float temperature = (float) Math.max(parameters.temperature(), Float.MIN_NORMAL);
        for (int id = 0; id < count; id++) {
            scores[id] = (scores[id] - maximum) / temperature;
        }
        boolean filtered = parameters.topK() > 0 && parameters.topK() < count;
        if (!filtered && parameters.topP() == 1) {
            return pick(count, mass(count, false), false);
        }
        ranked.reset(scores, count);
        int kept = filtered ? topK(count) : count;
        double mass = mass(kept, filtered);
        if (parameters.topP() < 1) {
            kept = topP(kept, parameters.topP() * mass);
            mass = mass(kept, true);
        }
        return pick(kept, mass, true);
    }

    /** Returns how many of the ranked tokens are the k largest or tie with the k-th. */
    private int topK(int count) {
        int kept = parameters.topK();
        float last = scores[ranked.get(kept - 1)];
        while (kept < count && scores[ranked.get(kept)] == last) {
            kept++;
        }
        return kept;
    }

    /** Returns how many of the first ranked tokens have less than the wanted mass before them. */
    private int topP(int count, double wanted) {
        double before = weight(0, true);
        int kept = 1;
        while (kept < count && before < wanted) {
            before += weight(kept++, true);
        }
        return kept;
    }

    private double mass(int count, boolean byRank) {
        double mass = 0;
        for (int i = 0; i < count; i++) {
            mass += weight(i, byRank);
        }
        return mass;
    }

    private int pick(int count, double mass, boolean byRank) {
        double target = nextUniform() * mass;
        double before = 0;
        int picked = -1;
        for (int i = 0; i < count && before <= target; i++) {
            double weight = weight(i, byRank);
            if (weight > 0) {
                picked = byRank ? ranked.get(i) : i;
                before += weight;
            }
        }
        return picked;
    }

    /** Returns the unnormalised probability of the i-th token, by rank or by id. */
    private double weight(int i, boolean byRank) {
        return StrictMath.exp(scores[byRank ? ranked.get(i) : i]);
    }

    private double nextUniform() {
        randomState += 0x9e3779b97f4a7c15L;
        long mixed = randomState;
        mixed = (mixed ^ (mixed >>> 30)) * 0xbf58476d1ce4e5b9L;
        mixed = (mixed ^ (mixed >>> 27)) * 0x94d049bb133111ebL;
        mixed ^= mixed >>> 31;
        return (mixed >>> 11) * 0x1.0p-53;
    }
}
