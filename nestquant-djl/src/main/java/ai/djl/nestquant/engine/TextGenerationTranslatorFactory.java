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
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;

/**
 * Makes translators from a prompt to generated text.
 *
 * <p>The supported types are {@code (String, String)}, {@code (String, GeneratedText)} and, for DJL
 * Serving, {@code (Input, Output)}; the last two stream. Arguments set the defaults of generation,
 * see {@link GenerationParameters}. Stateless and safe for concurrent use.
 */
public final class TextGenerationTranslatorFactory implements TranslatorFactory, Serializable {

    private static final long serialVersionUID = 1L;

    private static final Set<Pair<Type, Type>> TYPES =
            Set.of(
                    new Pair<>(String.class, String.class),
                    new Pair<>(String.class, GeneratedText.class),
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
        TextGenerator generator = TextGenerator.of(model, arguments);
        if (input == String.class && output == String.class) {
            return (Translator<I, O>)
                    new TextGenerationTranslator<String, String>(
                            generator, Request::of, GeneratedText::text);
        }
        if (input == String.class && output == GeneratedText.class) {
            return (Translator<I, O>)
                    new TextGenerationTranslator<String, GeneratedText>(
                            generator, Request::of, text -> text);
        }
        if (input == Input.class && output == Output.class) {
            return (Translator<I, O>)
                    new TextGenerationTranslator<Input, Output>(
                            generator,
                            request -> servingRequest(generator, request),
                            TextGenerationTranslatorFactory::servingOutput);
        }
        throw new IllegalArgumentException(
                "no translator from " + input + " to " + output + "; supported are " + TYPES);
    }

    /** A plain prompt, or JSON with the keys {@code inputs} and {@code parameters}. */
    private static Request servingRequest(TextGenerator generator, Input input) {
        if (input.getData() == null) {
            throw new IllegalArgumentException("the request has no data; send a prompt");
        }
        String data = input.getData().getAsString();
        if (!data.stripLeading().startsWith("{")) {
            return Request.of(data);
        }
        try {
            JsonRequest json = JsonUtils.GSON.fromJson(data, JsonRequest.class);
            if (json.inputs == null) {
                throw new IllegalArgumentException("the request has no key \"inputs\"");
            }
            return json.parameters == null
                    ? Request.of(json.inputs)
                    : new Request(json.inputs, generator.parameters(json.parameters));
        } catch (JsonParseException e) {
            throw new IllegalArgumentException("the request is no valid JSON: " + e.getMessage());
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
        Map<String, Object> parameters;
    }
}
