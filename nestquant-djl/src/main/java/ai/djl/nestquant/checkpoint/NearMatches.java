package ai.djl.nestquant.checkpoint;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Finds the names closest to a missing one by edit distance, for error messages.
 *
 * <p>Thread-safe (stateless).
 */
final class NearMatches {

    private static final int SHOWN = 3;

    private NearMatches() {}

    private record Match(String name, int distance) {}

    /** Returns {@code "; near matches: a, b, c"}, or how many names there are if none is near. */
    static String of(String wanted, Collection<String> names) {
        List<Match> matches =
                names.stream()
                        .map(name -> new Match(name, distance(wanted, name)))
                        .filter(match -> match.distance <= wanted.length() / 2)
                        .sorted(Comparator.comparingInt(Match::distance))
                        .limit(SHOWN)
                        .toList();
        if (matches.isEmpty()) {
            return " and no similar name among " + names.size() + " tensors";
        }
        return matches.stream()
                .map(Match::name)
                .collect(Collectors.joining(", ", "; near matches: ", ""));
    }

    /** Returns the Levenshtein distance of two strings. */
    static int distance(String a, String b) {
        int[] previous = new int[b.length() + 1];
        int[] current = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            previous[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            current[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replace = previous[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                current[j] = Math.min(replace, 1 + Math.min(previous[j], current[j - 1]));
            }
            int[] swap = previous;
            previous = current;
            current = swap;
        }
        return previous[b.length()];
    }
}
