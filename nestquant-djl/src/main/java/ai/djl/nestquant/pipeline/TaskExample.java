package ai.djl.nestquant.pipeline;

import java.util.Collections;
import java.util.List;

/**
 * One question of a {@link Task}: continuations of contexts, of which the model is to find the
 * right one the most likely. Immutable and safe for concurrent use.
 *
 * @param contexts what comes before, one for each choice
 * @param continuations what is scored, one for each choice, its leading space included
 * @param gold the index of the right choice
 */
record TaskExample(List<String> contexts, List<String> continuations, int gold) {

    /** Copies the lists. */
    TaskExample {
        contexts = List.copyOf(contexts);
        continuations = List.copyOf(continuations);
        if (gold < 0 || gold >= continuations.size()) {
            throw new IllegalArgumentException(
                    "the right choice is " + gold + ", but there are " + continuations.size());
        }
    }

    /** Makes an example whose choices follow one context after a space. */
    static TaskExample of(String context, List<String> choices, int gold) {
        return new TaskExample(
                Collections.nCopies(choices.size(), context),
                choices.stream().map(choice -> ' ' + choice).toList(),
                gold);
    }

    /** Returns the characters of a choice, as Unicode counts them, without its leading space. */
    int length(int choice) {
        String text = continuations.get(choice);
        return text.codePointCount(0, text.length()) - 1;
    }
}
