package ai.djl.nestquant.pipeline;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Zero-shot tasks in the files that their authors or HuggingFace publish, one JSON object a line,
 * with the prompts of lm-evaluation-harness.
 *
 * <p>Multiple-choice tasks may also come prepared as {@code query}, {@code choices} and {@code
 * gold}. Stateless and safe for concurrent use.
 */
public enum Task {
    /** {@code goal}, {@code sol1}, {@code sol2}, {@code label}. */
    PIQA {
        @Override
        TaskExample example(TaskLine line) {
            if (line.has(QUERY)) {
                return line.prepared(Task::asQuestion);
            }
            return TaskExample.of(
                    asQuestion("Question: " + line.text("goal")),
                    List.of(line.text("sol1"), line.text("sol2")),
                    line.integer("label"));
        }
    },
    /**
     * ARC, easy or challenge: {@code question}, {@code choices} with {@code text} and {@code
     * label}, {@code answerKey}; or the original form with a {@code stem} in the question.
     */
    ARC {
        @Override
        TaskExample example(TaskLine line) {
            return line.has(QUERY) ? line.prepared(Task::asQuestion) : line.arc(Task::asQuestion);
        }
    },
    /** {@code activity_label}, {@code ctx_a}, {@code ctx_b}, {@code endings}, {@code label}. */
    HELLASWAG {
        @Override
        TaskExample example(TaskLine line) {
            if (line.has(QUERY)) {
                return line.prepared(query -> query);
            }
            String context =
                    line.text("activity_label")
                            + ": "
                            + line.text("ctx_a")
                            + ' '
                            + capitalized(line.text("ctx_b"));
            return TaskExample.of(
                    withoutMarkup(context),
                    line.texts("endings").stream().map(Task::withoutMarkup).toList(),
                    line.integer("label"));
        }
    },
    /**
     * {@code sentence} with a gap {@code _}, {@code option1}, {@code option2}, {@code answer}: the
     * options stand in the context, and what follows the gap is scored.
     */
    WINOGRANDE {
        @Override
        TaskExample example(TaskLine line) {
            String sentence = line.text("sentence");
            int gap = sentence.indexOf('_');
            if (gap < 0) {
                throw new IllegalArgumentException("the sentence has no gap \"_\"");
            }
            String before = sentence.substring(0, gap);
            String after = ' ' + sentence.substring(gap + 1).strip();
            return new TaskExample(
                    List.of(before + line.text("option1"), before + line.text("option2")),
                    List.of(after, after),
                    line.integer("answer") - 1);
        }
    },
    /**
     * {@code context} and {@code continuation}, or {@code text}, whose last word is to be found:
     * right if every token of it is the most probable one.
     */
    LAMBADA {
        @Override
        TaskExample example(TaskLine line) {
            if (line.has("context")) {
                return TaskExample.of(line.text("context"), List.of(line.text("continuation")), 0);
            }
            String text = line.text("text");
            int last = text.lastIndexOf(' ');
            if (last < 0) {
                throw new IllegalArgumentException("the text has one word only");
            }
            return TaskExample.of(text.substring(0, last), List.of(text.substring(last + 1)), 0);
        }
    };

    private static final String QUERY = "query";

    /**
     * Finds a task.
     *
     * @param name its name, such as {@code piqa}
     * @return the task
     * @throws IllegalArgumentException if there is none of that name; the message lists the known
     *     ones
     */
    public static Task of(String name) {
        for (Task task : values()) {
            if (task.key().equals(name)) {
                return task;
            }
        }
        throw new IllegalArgumentException(
                "unknown task \""
                        + name
                        + "\"; known are piqa, arc, hellaswag, winogrande, lambada");
    }

    /**
     * Returns the task's name.
     *
     * @return the name, in lower case
     */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Makes an example of a line. */
    abstract TaskExample example(TaskLine line);

    /**
     * Reads examples.
     *
     * @param file one JSON object a line
     * @param limit the number of examples to keep, from the first; 0 for all
     * @return the examples, at least one
     * @throws IOException if the file cannot be read or a line is not as it must be, naming it
     */
    List<TaskExample> read(Path file, int limit) throws IOException {
        List<TaskExample> examples = new ArrayList<>();
        int number = 0;
        try (BufferedReader reader = Files.newBufferedReader(file)) {
            String line = reader.readLine();
            while (line != null && (limit == 0 || examples.size() < limit)) {
                number++;
                if (!line.isBlank()) {
                    examples.add(parse(line));
                }
                line = reader.readLine();
            }
        } catch (CharacterCodingException e) {
            throw new IOException(file + " is not UTF-8 text", e);
        } catch (IllegalArgumentException e) {
            throw new IOException(
                    file + ", line " + number + " is no " + key() + " example: " + e.getMessage(),
                    e);
        }
        if (examples.isEmpty()) {
            throw new IOException(file + " holds no examples");
        }
        return examples;
    }

    private TaskExample parse(String line) {
        JsonElement element;
        try {
            element = JsonParser.parseString(line);
        } catch (JsonParseException e) {
            throw new IllegalArgumentException("it is no JSON", e);
        }
        if (!(element instanceof JsonObject object)) {
            throw new IllegalArgumentException("it is no JSON object");
        }
        return example(new TaskLine(object));
    }

    private static String asQuestion(String question) {
        String text = question.stripTrailing();
        return text.endsWith("\nAnswer:") ? text : text + "\nAnswer:";
    }

    /** As Python's {@code capitalize}. */
    private static String capitalized(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = text.offsetByCodePoints(0, 1);
        return text.substring(0, first).toUpperCase(Locale.ROOT)
                + text.substring(first).toLowerCase(Locale.ROOT);
    }

    /** Takes out what WikiHow's pages have left in the texts. */
    private static String withoutMarkup(String text) {
        return text.strip()
                .replace(" [title]", ". ")
                .replaceAll("\\[.*?\\]", "")
                .replace("  ", " ");
    }
}
