package ai.djl.nestquant.checkpoint;

import ai.djl.MalformedModelException;

/**
 * Says that a checkpoint is damaged, incomplete or of a kind that is not supported.
 *
 * <p>The message names the file and the tensor or key, and what would be accepted. Thread-safe
 * (immutable).
 */
public class CheckpointException extends MalformedModelException {

    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what is wrong, where, and what to do
     */
    public CheckpointException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message what is wrong, where, and what to do
     * @param cause the error found underneath
     */
    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
