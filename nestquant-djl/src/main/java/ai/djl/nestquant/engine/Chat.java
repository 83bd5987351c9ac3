package ai.djl.nestquant.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * The messages of a conversation, for models whose publisher provides a chat template.
 *
 * <pre>{@code
 * Chat chat = new Chat().system("Answer in one word.").user("Is water wet?");
 * String answer = predictor.predict(chat); // a Predictor<Chat, String>
 * chat = chat.assistant(answer).user("Is ice?");
 * }</pre>
 *
 * <p>Immutable and safe for concurrent use; each method that adds a message returns a new chat.
 *
 * @param messages the messages from first to last
 */
public record Chat(List<Message> messages) {

    /**
     * One message.
     *
     * @param role who says it: {@code system}, {@code user}, {@code assistant} or what else the
     *     model's template knows
     * @param content what is said
     */
    public record Message(String role, String content) {

        /** Refuses a message without role or content. */
        public Message {
            if (role == null || role.isBlank() || content == null) {
                throw new IllegalArgumentException(
                        "a message needs a role and a content, but has " + role + ", " + content);
            }
        }
    }

    /** Creates a chat; the list is copied. Refuses a list that is null or has a null. */
    public Chat {
        if (messages == null || messages.stream().anyMatch(Objects::isNull)) {
            throw new IllegalArgumentException("a chat needs messages, but has " + messages);
        }
        messages = List.copyOf(messages);
    }

    /** Creates a chat without messages. */
    public Chat() {
        this(List.of());
    }

    /**
     * Adds what the model is told before the conversation.
     *
     * @param content the text
     * @return the longer chat
     */
    public Chat system(String content) {
        return with("system", content);
    }

    /**
     * Adds a message of the user.
     *
     * @param content the text
     * @return the longer chat
     */
    public Chat user(String content) {
        return with("user", content);
    }

    /**
     * Adds an answer of the model.
     *
     * @param content the text
     * @return the longer chat
     */
    public Chat assistant(String content) {
        return with("assistant", content);
    }

    private Chat with(String role, String content) {
        List<Message> more = new ArrayList<>(messages);
        more.add(new Message(role, content));
        return new Chat(more);
    }
}
