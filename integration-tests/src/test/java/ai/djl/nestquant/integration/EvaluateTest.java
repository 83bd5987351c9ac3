package ai.djl.nestquant.integration;

import ai.djl.util.JsonUtils;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

/** {@code nestquant evaluate} against the accuracies of the reference implementation. */
public class EvaluateTest {

    /** The reference gives the outcomes of its first 50 examples one by one. */
    private static final int EXAMPLES = 50;

    /** A choice whose likelihoods nearly tie may fall either way. */
    private static final double ONE_EXAMPLE = 1.0 / EXAMPLES + 1e-9;

    private static JsonObject evaluate(String task, Path data) throws Exception {
        JsonObject json =
                CommandLine.run(
                                "evaluate",
                                "--json",
                                "--quantization",
                                "none",
                                "--model",
                                TestModels.smolLm2(),
                                "--task",
                                task,
                                "--data",
                                data,
                                "--limit",
                                EXAMPLES)
                        .json();
        Assert.assertEquals(json.get("task").getAsString(), task);
        Assert.assertEquals(json.get("examples").getAsInt(), EXAMPLES);
        return json;
    }

    private static JsonArray golden(String task, String key) throws Exception {
        Path file = TestModels.shared("models/smollm2-135m/golden_tasks.json");
        return JsonUtils.GSON
                .fromJson(Files.readString(file), JsonObject.class)
                .getAsJsonObject(task)
                .getAsJsonArray(key);
    }

    @Test
    public void piqaAccuracyIsTheReference() throws Exception {
        Path data = TestModels.shared("data/tasks/piqa.jsonl");
        JsonArray predictions = golden("piqa", "first_predictions");
        Assert.assertEquals(predictions.size(), EXAMPLES);
        List<String> lines = Files.readAllLines(data);
        int right = 0;
        for (int i = 0; i < EXAMPLES; i++) {
            JsonObject line = JsonUtils.GSON.fromJson(lines.get(i), JsonObject.class);
            right += line.get("gold").getAsInt() == predictions.get(i).getAsInt() ? 1 : 0;
        }
        double acc = evaluate("piqa", data).get("acc").getAsDouble();
        Assert.assertEquals(acc, (double) right / EXAMPLES, ONE_EXAMPLE);
    }

    @Test
    public void lambadaAccuracyIsTheReference() throws Exception {
        int right = 0;
        for (JsonElement correct : golden("lambada_openai", "first_correct")) {
            right += correct.getAsInt();
        }
        Path data = TestModels.shared("data/tasks/lambada_openai.jsonl");
        double acc = evaluate("lambada", data).get("acc").getAsDouble();
        Assert.assertEquals(acc, (double) right / EXAMPLES, ONE_EXAMPLE);
    }
}
