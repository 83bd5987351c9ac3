package ai.djl.nestquant.engine;

import java.util.Locale;

/** Why a text ended. */
public enum FinishReason {
    /** The model ended it, or a stop string appeared. */
    STOP,
    /** The most new tokens, or the end of the model's context, was reached. */
    LENGTH,
    /** It was cancelled or closed. */
    CANCELLED;

    /**
     * Returns the name in lower case, as it stands in JSON.
     *
     * @return the name in lower case
     */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
