package ai.djl.nestquant.checkpoint;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A JSON object of a configuration file with typed, checked access; every error names file and key.
 *
 * <p>A key that is null counts as absent unless {@link #isNull} is asked. Thread-safe as long as
 * the object underneath is not changed.
 */
final class ConfigSection {

    /** Configuration files are a few kB, the index of a thousand-layer model a few MB. */
    private static final long MAX_BYTES = 64 << 20;

    private final Path file;
    private final String path;
    private final JsonObject object;

    private ConfigSection(Path file, String path, JsonObject object) {
        this.file = file;
        this.path = path;
        this.object = object;
    }

    /** Reads the object that a file holds: strict JSON, UTF-8, no duplicate keys. */
    static ConfigSection read(Path file) throws IOException, CheckpointException {
        return parse(file, readText(file));
    }

    /** Reads what a file of the model's publisher says, UTF-8. */
    static String readText(Path file) throws IOException, CheckpointException {
        long size = Files.size(file);
        if (size > MAX_BYTES) {
            throw new CheckpointException(
                    file + ": " + size + " bytes exceed the bound of " + MAX_BYTES);
        }
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new CheckpointException(file + ": not valid UTF-8", e);
        }
    }

    /** Parses JSON text; {@code file} only appears in messages. */
    static ConfigSection parse(Path file, String json) throws CheckpointException {
        try {
            String duplicate = duplicateKey(json);
            if (duplicate != null) {
                throw new CheckpointException(file + ": duplicate key " + duplicate);
            }
            JsonElement root = JsonParser.parseReader(reader(json));
            if (!root.isJsonObject()) {
                throw new CheckpointException(file + ": must hold one JSON object");
            }
            return new ConfigSection(file, "", root.getAsJsonObject());
        } catch (IOException | JsonParseException | IllegalStateException e) {
            throw new CheckpointException(file + ": not valid JSON: " + e.getMessage(), e);
        }
    }

    private static JsonReader reader(String json) {
        JsonReader reader = new JsonReader(new StringReader(json));
        reader.setStrictness(Strictness.STRICT);
        return reader;
    }

    /** Returns the path of the first key that stands twice in its object, or null. */
    private static String duplicateKey(String json) throws IOException {
        Deque<Set<String>> open = new ArrayDeque<>();
        JsonReader reader = reader(json);
        while (true) {
            switch (reader.peek()) {
                case BEGIN_OBJECT -> {
                    reader.beginObject();
                    open.push(new HashSet<>());
                }
                case END_OBJECT -> {
                    reader.endObject();
                    open.pop();
                }
                case BEGIN_ARRAY -> reader.beginArray();
                case END_ARRAY -> reader.endArray();
                case NAME -> {
                    String key = reader.nextName();
                    if (!open.element().add(key)) {
                        return reader.getPath();
                    }
                }
                case END_DOCUMENT -> {
                    return null;
                }
                default -> reader.skipValue();
            }
        }
    }

    /** Returns a copy of the object. */
    JsonObject copy() {
        return object.deepCopy();
    }

    Path file() {
        return file;
    }

    Set<String> keys() {
        return object.keySet();
    }

    /** Returns whether the key is present with a value other than null. */
    boolean has(String key) {
        JsonElement element = object.get(key);
        return element != null && !element.isJsonNull();
    }

    /** Returns whether the key is present and null. */
    boolean isNull(String key) {
        return object.has(key) && object.get(key).isJsonNull();
    }

    /** Returns a required integer in {@code [min, max]}. */
    int integer(String key, int min, int max) throws CheckpointException {
        if (!has(key)) {
            throw error(key, "is missing");
        }
        return toInteger(key, object.get(key), min, max);
    }

    /** Returns an integer in {@code [min, max]}, or the default where the key is absent. */
    int integer(String key, int defaultValue, int min, int max) throws CheckpointException {
        return has(key) ? integer(key, min, max) : defaultValue;
    }

    /** Returns an integer in {@code [min, max]} if the key is present. */
    OptionalInt optionalInteger(String key, int min, int max) throws CheckpointException {
        return has(key) ? OptionalInt.of(integer(key, min, max)) : OptionalInt.empty();
    }

    /** Returns the token ids of a key that holds one id or an array of ids. */
    List<Integer> ids(String key) throws CheckpointException {
        List<Integer> ids = new ArrayList<>();
        JsonElement element = object.get(key);
        if (element.isJsonArray()) {
            for (JsonElement id : element.getAsJsonArray()) {
                ids.add(toInteger(key, id, 0, Integer.MAX_VALUE));
            }
        } else {
            ids.add(toInteger(key, element, 0, Integer.MAX_VALUE));
        }
        return List.copyOf(ids);
    }

    /** Returns a number in {@code [min, max]}, or the default where the key is absent. */
    double number(String key, double defaultValue, double min, double max)
            throws CheckpointException {
        return has(key) ? number(key, min, max) : defaultValue;
    }

    /** Returns a required number in {@code [min, max]}. */
    double number(String key, double min, double max) throws CheckpointException {
        if (!has(key)) {
            throw error(key, "is missing");
        }
        JsonElement element = object.get(key);
        if (!element.isJsonPrimitive() || !element.getAsJsonPrimitive().isNumber()) {
            throw error(key, "must be a number but is " + show(element));
        }
        double value = element.getAsDouble();
        if (!(value >= min && value <= max)) {
            throw error(key, "is " + show(element) + ", not in [" + min + ", " + max + "]");
        }
        return value;
    }

    /** Returns true or false, or the default where the key is absent. */
    boolean flag(String key, boolean defaultValue) throws CheckpointException {
        if (!has(key)) {
            return defaultValue;
        }
        JsonElement element = object.get(key);
        if (!element.isJsonPrimitive() || !element.getAsJsonPrimitive().isBoolean()) {
            throw error(key, "must be true or false but is " + show(element));
        }
        return element.getAsBoolean();
    }

    /** Returns a string, or the default where the key is absent. */
    String text(String key, String defaultValue) throws CheckpointException {
        return has(key) ? toText(key, object.get(key)) : defaultValue;
    }

    /** Returns a required string. */
    String text(String key) throws CheckpointException {
        if (!has(key)) {
            throw error(key, "is missing");
        }
        return toText(key, object.get(key));
    }

    /** Returns an array of strings; empty where the key is absent. */
    List<String> texts(String key) throws CheckpointException {
        List<String> texts = new ArrayList<>();
        if (has(key)) {
            JsonElement element = object.get(key);
            if (!element.isJsonArray()) {
                throw error(key, "must be an array of strings but is " + show(element));
            }
            for (JsonElement item : element.getAsJsonArray()) {
                texts.add(toText(key, item));
            }
        }
        return texts;
    }

    /** Returns a nested object. */
    ConfigSection section(String key) throws CheckpointException {
        if (!has(key)) {
            throw error(key, "is missing");
        }
        JsonElement element = object.get(key);
        if (!element.isJsonObject()) {
            throw error(key, "must be an object but is " + show(element));
        }
        return new ConfigSection(file, path + key + ".", element.getAsJsonObject());
    }

    /** Tells whether a key is there and holds an object. */
    boolean isObject(String key) {
        return has(key) && object.get(key).isJsonObject();
    }

    /** Tells whether a key is there and holds an array. */
    boolean isArray(String key) {
        return has(key) && object.get(key).isJsonArray();
    }

    /** Returns an array of objects. */
    List<ConfigSection> sections(String key) throws CheckpointException {
        List<ConfigSection> sections = new ArrayList<>();
        for (JsonElement item : object.getAsJsonArray(key)) {
            if (!item.isJsonObject()) {
                throw error(key, "must be an array of objects but has " + show(item));
            }
            String child = path + key + '[' + sections.size() + "].";
            sections.add(new ConfigSection(file, child, item.getAsJsonObject()));
        }
        return sections;
    }

    /** Returns the value of a present key as JSON text, shortened. */
    String show(String key) {
        return show(object.get(key));
    }

    /** Makes the error for a value that cannot be used. */
    CheckpointException error(String key, String message) {
        return new CheckpointException(file + ": key '" + path + key + "' " + message);
    }

    /** Makes the error for a valid value that asks for something not supported. */
    CheckpointException unsupported(String key, String supported) {
        return error(key, "= " + show(key) + " is not supported; supported: " + supported);
    }

    private int toInteger(String key, JsonElement element, int min, int max)
            throws CheckpointException {
        boolean number = element.isJsonPrimitive() && element.getAsJsonPrimitive().isNumber();
        // asking the text keeps 64.5 and 1e400 from being converted
        if (!number || !element.getAsString().matches("-?[0-9]{1,18}")) {
            throw error(key, "must be an integer but is " + show(element));
        }
        long value = element.getAsLong();
        if (value < min || value > max) {
            throw error(key, "is " + value + ", not in [" + min + ", " + max + "]");
        }
        return (int) value;
    }

    private String toText(String key, JsonElement element) throws CheckpointException {
        if (!element.isJsonPrimitive() || !element.getAsJsonPrimitive().isString()) {
            throw error(key, "must be a string but is " + show(element));
        }
        return element.getAsString();
    }

    private static String show(JsonElement element) {
        String json = element.toString();
        return json.length() <= 80 ? json : json.substring(0, 77) + "...";
    }
}
