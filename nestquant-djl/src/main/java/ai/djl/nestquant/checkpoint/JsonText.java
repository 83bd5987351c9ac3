package ai.djl.nestquant.checkpoint;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;

/** How JSON files are written. Stateless and safe for concurrent use. */
final class JsonText {

    private static final Gson PRETTY =
            new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

    private JsonText() {}

    static String pretty(Object value) {
        return PRETTY.toJson(value) + "\n";
    }

    static <T> T parse(String json, Class<T> type) {
        return PRETTY.fromJson(json, type);
    }
}
