package ai.djl.nestquant.engine;

import ai.djl.Model;
import ai.djl.inference.streaming.IteratorBytesSupplier;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.BytesSupplier;
import ai.djl.nestquant.engine.TextGenerator.Request;
import ai.djl.nestquant.model.CausalLm;
import ai.djl.translate.DefaultTranslatorFactory;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorFactory;
import ai.djl.util.JsonUtils;
import ai.djl.util.Pair;
import com.google.gson.JsonParseException;
import java.io.Serializable;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Makes translators from a prompt or a {@link Chat} to generated text.
 *
 * <p>The supported types are {@code String} or {@code Chat} to {@code String} or {@code
 * GeneratedText} and, for DJL Serving, {@code Input} to {@code Output}; the last two stream. A chat
 * becomes a prompt by the model's chat template. Arguments set the defaults of generation, see
 * {@link GenerationParameters}. Stateless and safe for concurrent use.
 */
public final class TextGenerationTranslatorFactory implements TranslatorFactory, Serializable {

    private static final long serialVersionUID = 1L;

    private static final Set<Pair<Type, Type>> TYPES =
            Set.of(
                    new Pair<>(String.class, String.class),
                    new Pair<>(String.class, GeneratedText.class),
                    new Pair<>(Chat.class, String.class),
                    new Pair<>(Chat.class, GeneratedText.class),
                    new Pair<>(Input.class, Output.class));

    /** {@inheritDoc} */
    @Override
    public Set<Pair<Type, Type>> getSupportedTypes() {
        return TYPES;
    }

    /** {@inheritDoc} */
    @Override
    @SuppressWarnings("unchecked")
    public <I, O> Translator<I, O> newInstance(
            Class<I> input, Class<O> output, Model model, Map<String, ?> arguments)
            throws TranslateException {
        if (!(model.getBlock() instanceof CausalLm)) {
            // a model of another engine in the same kind of directory: DJL's own choice
            Map<String, Object> others = new HashMap<>(arguments);
            others.remove("translatorFactory");
            return new DefaultTranslatorFactory().newInstance(input, output, model, others);
        }
        if (!TYPES.contains(new Pair<Type, Type>(input, output))) {
            throw new IllegalArgumentException(
                    "no translator from " + input + " to " + output + "; supported are " + TYPES);
        }
        TextGenerator generator = TextGenerator.of(model, arguments);
        if (input == Chat.class) {
            generator.chatTemplate(); // better missed now than at the first message
        }
        return new TextGenerationTranslator<>(
                generator,
                request -> request(generator, request),
                text -> (O) output(output, text));
    }

    private static Request request(TextGenerator generator, Object input)
            throws TranslateException {
        if (input instanceof Chat chat) {
            return generator.request(chat);
        }
        return input instanceof Input data
                ? servingRequest(generator, data)
                : Request.of((String) input);
    }

    private static Object output(Class<?> type, GeneratedText text) {
        if (type == String.class) {
            return text.text();
        }
        return type == Output.class ? servingOutput(text) : text;
    }

    /**
     * A plain prompt, or JSON with the keys {@code inputs} or {@code messages}, and {@code
     * parameters}.
     */
    private static Request servingRequest(TextGenerator generator, Input input)
            throws TranslateException {
        if (input.getData() == null) {
            throw new IllegalArgumentException("the request has no data; send a prompt");
        }
        String data = input.getData().getAsString();
        if (!data.stripLeading().startsWith("{")) {
            return Request.of(data);
        }
        try {
            JsonRequest json = JsonUtils.GSON.fromJson(data, JsonRequest.class);
            if ((json.inputs == null) == (json.messages == null)) {
                throw new IllegalArgumentException(
                        "the request needs either the key \"inputs\" or \"messages\"");
            }
            Request request =
                    json.messages == null
                            ? Request.of(json.inputs)
                            : generator.request(json.chat());
            return json.parameters == null
                    ? request
                    : request.with(generator.parameters(json.parameters));
        } catch (JsonParseException e) {
            // Gson's message goes on with a link, and may begin with the name of an exception
            String what = e.getMessage().lines().findFirst().orElse("").replaceFirst("^\\S+: ", "");
            throw new IllegalArgumentException("the request is no valid JSON: " + what, e);
        }
    }

    private static Output servingOutput(GeneratedText text) {
        Iterator<BytesSupplier> pieces =
                new Iterator<>() {
                    @Override
                    public boolean hasNext() {
                        return text.hasNext();
                    }

                    @Override
                    public BytesSupplier next() {
                        return BytesSupplier.wrap(text.next());
                    }
                };
        Output output = new Output();
        output.add(new IteratorBytesSupplier(pieces));
        return output;
    }

    /** The request of text generation servers. */
    private static final class JsonRequest {
        String inputs;
        List<Message> messages;
        Map<String, Object> parameters;

        Chat chat() {
            List<Chat.Message> all = new ArrayList<>();
            for (Message message : messages) {
                all.add(message == null ? null : new Chat.Message(message.role, message.content));
            }
            return new Chat(all);
        }

        /** Not {@link Chat.Message}: what that refuses, Gson would hide. */
        private static final class Message {
            String role;
            String content;
        }
    }
}
