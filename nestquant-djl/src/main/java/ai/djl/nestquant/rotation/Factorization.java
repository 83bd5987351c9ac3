package ai.djl.nestquant.rotation;

import java.util.ArrayList;
import java.util.List;

/**
 * Decides how a row length is padded and split: {@code paddedLength = m_1 · m_2 · … · 2^a}.
 *
 * <p>Hadamard matrices of order m = o·2^b (o odd) take the odd part where a construction is known;
 * what is left is a random circulant of odd order. Among the splits of one length the one with the
 * smallest random part wins, then the one with the fewest taps.
 *
 * @param paddedLength the length that is rotated
 * @param specs the factors from the outermost coordinate to the innermost
 * @param exponent a, the Walsh-Hadamard part, innermost of all
 */
record Factorization(int paddedLength, List<Spec> specs, int exponent) {

    /** Longer cores cost more than a longer row would. */
    private static final int MAX_TAPS = 256;

    /**
     * Padding beyond the next multiple of 8 is at most 1/128: 4.25 · 129/128 is 4.283 bits per
     * weight, still below the 4.3 that a packed matrix may take.
     */
    private static final int PADDING_SHARE = 128;

    /** What a factor costs beside its taps (borders, copies), in taps. */
    private static final int TAPS_PER_FACTOR = 16;

    /** How a factor is constructed. */
    enum Kind {
        PALEY_ONE,
        PALEY_TWO,
        WILLIAMSON,
        RANDOM
    }

    /** A factor to build: its construction, its order and the taps that an entry costs. */
    record Spec(Kind kind, int order, int taps) {

        OrthogonalFactor build(SplitMix64 random) {
            return switch (kind) {
                case PALEY_ONE -> new PaleyOneFactor(order);
                case PALEY_TWO -> new PaleyTwoFactor(order);
                case WILLIAMSON -> new WilliamsonFactor(order);
                case RANDOM -> new RandomCirculantFactor(order, random);
            };
        }
    }

    /** Returns the split of the first suitable padded length for rows of the given length. */
    static Factorization of(int length) {
        int least = (length + 7) / 8 * 8;
        Factorization best = null;
        for (int padded = least; padded <= least + least / PADDING_SHARE; padded += 8) {
            Factorization candidate = split(padded);
            if (candidate.randomPart() == 1) {
                return candidate;
            }
            if (best == null || candidate.taps() < best.taps()) {
                best = candidate;
            }
        }
        return best;
    }

    private static Factorization split(int padded) {
        int a = Integer.numberOfTrailingZeros(padded);
        List<Spec> specs = best(padded >> a, a);
        for (Spec spec : specs) {
            a -= Integer.numberOfTrailingZeros(spec.order);
        }
        return new Factorization(padded, specs, a);
    }

    /** The best factors for an odd part when 2^a may be used up on them. */
    private static List<Spec> best(int odd, int a) {
        if (odd == 1) {
            return List.of();
        }
        int smallestPrime = smallestPrimeFactor(odd);
        List<Spec> best = null;
        for (int divisor = smallestPrime; divisor <= odd; divisor += 2) {
            // only divisors with the smallest prime: otherwise every order of factors would come up
            if (odd % divisor != 0 || divisor % smallestPrime != 0) {
                continue;
            }
            for (Spec spec : candidates(divisor, a)) {
                int used = Integer.numberOfTrailingZeros(spec.order);
                List<Spec> list = new ArrayList<>(best(odd / divisor, a - used));
                list.add(spec);
                if (best == null || isBetter(list, best)) {
                    best = list;
                }
            }
        }
        return best;
    }

    private static List<Spec> candidates(int odd, int a) {
        List<Spec> specs = new ArrayList<>();
        for (int b = 2; b <= a && odd << b <= 2 * MAX_TAPS; b++) {
            int order = odd << b;
            int half = order / 2;
            if (half <= MAX_TAPS && half % 4 == 2 && isPrime(half - 1)) {
                specs.add(new Spec(Kind.PALEY_TWO, order, half));
            } else if (order <= MAX_TAPS && isPrime(order - 1)) {
                specs.add(new Spec(Kind.PALEY_ONE, order, order));
            } else if (order <= MAX_TAPS && WilliamsonFactor.exists(order)) {
                specs.add(new Spec(Kind.WILLIAMSON, order, order));
            }
        }
        specs.add(new Spec(Kind.RANDOM, odd, odd));
        return specs;
    }

    private static boolean isBetter(List<Spec> left, List<Spec> right) {
        int order = Integer.compare(randomPart(left), randomPart(right));
        return order != 0 ? order < 0 : taps(left) < taps(right);
    }

    int randomPart() {
        return randomPart(specs);
    }

    private int taps() {
        return taps(specs);
    }

    private static int randomPart(List<Spec> specs) {
        int part = 1;
        for (Spec spec : specs) {
            part *= spec.kind == Kind.RANDOM ? spec.order : 1;
        }
        return part;
    }

    private static int taps(List<Spec> specs) {
        return specs.stream().mapToInt(spec -> spec.taps + TAPS_PER_FACTOR).sum();
    }

    private static int smallestPrimeFactor(int odd) {
        for (int f = 3; (long) f * f <= odd; f += 2) {
            if (odd % f == 0) {
                return f;
            }
        }
        return odd;
    }

    private static boolean isPrime(int n) {
        return n > 2 && n % 2 == 1 && smallestPrimeFactor(n) == n;
    }
}
