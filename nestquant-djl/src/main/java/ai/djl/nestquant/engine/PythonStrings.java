package ai.djl.nestquant.engine;

import com.hubspot.jinjava.el.JinjavaInterpreterResolver;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import jinjava.javax.el.CompositeELResolver;
import jinjava.javax.el.ELContext;

/**
 * Lets templates call the methods that strings have in Python and not in Java. Stateless and safe
 * for concurrent use.
 */
final class PythonStrings extends CompositeELResolver {

    PythonStrings() {
        add(JinjavaInterpreterResolver.DEFAULT_RESOLVER_READ_ONLY);
    }

    /** {@inheritDoc} */
    @Override
    public Object invoke(
            ELContext context, Object base, Object method, Class<?>[] types, Object[] arguments) {
        Object result =
                base instanceof CharSequence text
                        ? call(text.toString(), method.toString(), arguments)
                        : null;
        if (result == null) {
            return super.invoke(context, base, method, types, arguments);
        }
        context.setPropertyResolved(true);
        return result;
    }

    /** Returns null for methods that are left to Java. */
    private static Object call(String text, String method, Object[] arguments) {
        String first = arguments.length == 0 ? null : String.valueOf(arguments[0]);
        return switch (method + ' ' + arguments.length) {
            case "strip 0", "strip 1" -> strip(text, first);
            case "lstrip 0", "lstrip 1" -> stripStart(text, first);
            case "rstrip 0", "rstrip 1" -> stripEnd(text, first);
            case "startswith 1" -> text.startsWith(first);
            case "endswith 1" -> text.endsWith(first);
            case "upper 0" -> text.toUpperCase(Locale.ROOT);
            case "lower 0" -> text.toLowerCase(Locale.ROOT);
            case "split 0" -> words(strip(text, null));
            case "split 1" -> Arrays.asList(text.split(Pattern.quote(first), -1));
            case "split 2" -> {
                int pieces = ((Number) arguments[1]).intValue() + 1;
                yield Arrays.asList(text.split(Pattern.quote(first), pieces));
            }
            default -> {
                if (method.equals("format")) { // Java's means something else
                    throw new UnsupportedOperationException("format of strings");
                }
                yield null;
            }
        };
    }

    /** Removes the characters, or white space if null, from both ends. */
    static String strip(String text, String characters) {
        return stripStart(stripEnd(text, characters), characters);
    }

    private static List<String> words(String text) {
        return text.isEmpty() ? List.of() : Arrays.asList(text.split("[\\s\\h\\v]+"));
    }

    private static String stripStart(String text, String characters) {
        int start = 0;
        while (start < text.length() && strips(text.charAt(start), characters)) {
            start++;
        }
        return text.substring(start);
    }

    private static String stripEnd(String text, String characters) {
        int end = text.length();
        while (end > 0 && strips(text.charAt(end - 1), characters)) {
            end--;
        }
        return text.substring(0, end);
    }

    /** As Python's {@code str.isspace}, which counts spaces that do not break. */
    private static boolean isSpace(char c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
    }

    private static boolean strips(char c, String characters) {
        return characters == null ? isSpace(c) : characters.indexOf(c) >= 0;
    }
}
