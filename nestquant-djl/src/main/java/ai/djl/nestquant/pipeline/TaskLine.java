package ai.djl.nestquant.pipeline;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/** The JSON object of one example, read field by field. Not safe for concurrent use. */
final class TaskLine {

    private final JsonObject json;

    TaskLine(JsonObject json) {
        this.json = json;
    }

    boolean has(String key) {
        return json.has(key);
    }

    /** Returns a text or number as text. */
    String text(String key) {
        return text(json, key);
    }

    private static String text(JsonObject object, String key) {
        if (!(object.get(key) instanceof JsonPrimitive primitive)) {
            throw new IllegalArgumentException(
                    "\"" + key + "\" must be a text; the keys are " + object.keySet());
        }
        return primitive.getAsString();
    }

    /** Returns a whole number, which may be written as a text. */
    int integer(String key) {
        String text = text(key);
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("\"" + key + "\" is " + text + ", no number", e);
        }
    }

    List<String> texts(String key) {
        return texts(json, key);
    }

    private static List<String> texts(JsonObject object, String key) {
        if (!(object.get(key) instanceof JsonArray array)) {
            throw new IllegalArgumentException(
                    "\"" + key + "\" must be a list of texts; the keys are " + object.keySet());
        }
        return array.asList().stream().map(JsonElement::getAsString).toList();
    }

    /** Reads {@code query}, {@code choices} and {@code gold}. */
    TaskExample prepared(UnaryOperator<String> context) {
        return TaskExample.of(context.apply(text("query")), texts("choices"), integer("gold"));
    }

    /** Reads ARC's two forms. */
    TaskExample arc(UnaryOperator<String> context) {
        List<String> texts = new ArrayList<>();
        List<String> labels = new ArrayList<>();
        String question;
        if (json.get("question") instanceof JsonObject nested) {
            question = text(nested, "stem");
            if (nested.get("choices") instanceof JsonArray choices) {
                for (JsonElement choice : choices) {
                    texts.add(text(choice.getAsJsonObject(), "text"));
                    labels.add(text(choice.getAsJsonObject(), "label"));
                }
            }
        } else {
            question = text("question");
            if (json.get("choices") instanceof JsonObject choices) {
                texts.addAll(texts(choices, "text"));
                labels.addAll(texts(choices, "label"));
            }
        }
        int gold = labels.indexOf(text("answerKey"));
        if (gold < 0 || texts.size() != labels.size()) {
            throw new IllegalArgumentException(
                    "answerKey " + text("answerKey") + " is none of the labels " + labels);
        }
        return TaskExample.of(context.apply("Question: " + question), texts, gold);
    }
}
