package ai.djl.nestquant.cli;

import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;

/**
 * What went wrong, in one line.
 *
 * <p>Stateless and safe for concurrent use.
 */
final class ErrorMessage {

    private ErrorMessage() {}

    static String of(Throwable thrown) {
        Throwable e = thrown;
        while (e.getCause() != null && addsNothing(e)) {
            e = e.getCause();
        }
        return text(e).replaceAll("\\s*[\r\n]+\\s*", " ").strip();
    }

    /** An exception made from its cause alone says no more than the cause. */
    private static boolean addsNothing(Throwable e) {
        return e.getMessage() == null || e.getMessage().equals(e.getCause().toString());
    }

    private static String text(Throwable e) {
        String message = e.getMessage();
        if (e instanceof NoSuchFileException) {
            return message + " does not exist";
        }
        if (e instanceof AccessDeniedException) {
            return message + " may not be read or written";
        }
        if (e instanceof OutOfMemoryError) {
            return "out of memory: " + message;
        }
        return message == null ? e.toString() : message;
    }
}
