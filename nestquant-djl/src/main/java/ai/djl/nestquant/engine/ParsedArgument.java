package ai.djl.nestquant.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Values of a DJL argument map, which are objects or their text; errors name the key.
 *
 * <p>Stateless and safe for concurrent use.
 */
final class ParsedArgument {

    private ParsedArgument() {}

    static IllegalArgumentException invalid(String key, Object value, String expected) {
        return new IllegalArgumentException(
                "argument \"" + key + "\" must be " + expected + ", but is " + value);
    }

    static double number(String key, Object value) {
        try {
            return value instanceof Number number
                    ? number.doubleValue()
                    : Double.parseDouble(String.valueOf(value).trim());
        } catch (NumberFormatException e) {
            throw invalid(key, value, "a number");
        }
    }

    static long wholeNumber(String key, Object value) {
        if (value instanceof Long || value instanceof Integer) {
            return ((Number) value).longValue();
        }
        if (value instanceof Number number) {
            // JSON readers give whole numbers as double
            double real = number.doubleValue();
            if (real == Math.rint(real) && Math.abs(real) <= 1L << 53) {
                return (long) real;
            }
            throw invalid(key, value, "a whole number");
        }
        try {
            return Long.parseLong(String.valueOf(value).trim());
        } catch (NumberFormatException e) {
            throw invalid(key, value, "a whole number");
        }
    }

    static int integer(String key, Object value) {
        long whole = wholeNumber(key, value);
        if (whole != (int) whole) {
            throw invalid(key, value, "at most " + Integer.MAX_VALUE);
        }
        return (int) whole;
    }

    static boolean flag(String key, Object value) {
        return switch (String.valueOf(value).trim()) {
            case "true" -> true;
            case "false" -> false;
            default -> throw invalid(key, value, "true or false");
        };
    }

    static List<String> strings(String key, Object value) {
        List<String> strings = new ArrayList<>();
        for (Object item : list(value)) {
            if (!(item instanceof String string)) {
                throw invalid(key, value, "a string or a list of strings");
            }
            strings.add(string);
        }
        return strings;
    }

    static List<Long> wholeNumbers(String key, Object value) {
        List<Long> numbers = new ArrayList<>();
        for (Object item : list(value)) {
            numbers.add(wholeNumber(key, item));
        }
        return numbers;
    }

    private static List<?> list(Object value) {
        if (value instanceof List<?> list) {
            return list;
        }
        return value instanceof Object[] array ? Arrays.asList(array) : Arrays.asList(value);
    }
}
