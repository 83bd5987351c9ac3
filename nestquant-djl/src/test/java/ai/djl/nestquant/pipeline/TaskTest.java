package ai.djl.nestquant.pipeline;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class TaskTest {

    private static List<TaskExample> read(Task task, int limit, String... lines)
            throws IOException {
        Path file = Files.createTempFile("task", ".jsonl");
        try {
            Files.writeString(file, String.join("\n", lines) + "\n");
            return task.read(file, limit);
        } finally {
            Files.delete(file);
        }
    }

    @DataProvider
    public static Object[][] forms() {
        String question = "Question: How to sit?\nAnswer:";
        List<String> ways = List.of(" On it.", " Übers 𝄞.");
        List<String> same = List.of(question, question);
        String arc =
                "{'question':'How to sit?','choices':{'text':['On it.','Übers 𝄞.'],'label':"
                        + "['A','B']},'answerKey':'B'}";
        String stem =
                "{'question':{'stem':'How to sit?','choices':[{'text':'On it.','label':'1'},"
                        + "{'text':'Übers 𝄞.','label':'2'}]},'answerKey':'2'}";
        String query =
                "{'query':'Question: How to sit?\\n','choices':['On it.','Übers 𝄞.'],'gold':1}";
        String hella =
                "{'activity_label':'Sitting','ctx_a':'A man sits.','ctx_b':'the Man','endings':"
                        + "[' rises [step] again.','falls. [title] Next'],'label':'1'}";
        String wino =
                "{'sentence':'The _ is too big for it.','option1':'cup','option2':'box',"
                        + "'answer':'2'}";
        String after = " is too big for it.";
        List<String> word = List.of(" word");
        return new Object[][] {
            {Task.ARC, arc, same, ways, 1},
            {Task.ARC, stem, same, ways, 1},
            {Task.ARC, query, same, ways, 1},
            {Task.PIQA, query, same, ways, 1},
            {
                Task.PIQA,
                "{'goal':'How to sit?','sol1':'On it.','sol2':'Übers 𝄞.','label':0}",
                same,
                ways,
                0
            },
            {
                Task.HELLASWAG,
                hella,
                List.of("Sitting: A man sits. The man", "Sitting: A man sits. The man"),
                List.of(" rises again.", " falls.. Next"),
                1
            },
            {Task.WINOGRANDE, wino, List.of("The cup", "The box"), List.of(after, after), 1},
            {Task.LAMBADA, "{'text':'The last  word'}", List.of("The last "), word, 0},
            {
                Task.LAMBADA,
                "{'context':'The last','continuation':'word'}",
                List.of("The last"),
                word,
                0
            },
        };
    }

    @Test(dataProvider = "forms")
    public void everyFormGivesContextsAndContinuations(
            Task task, String line, List<String> contexts, List<String> continuations, int gold)
            throws IOException {
        TaskExample example = read(task, 0, line.replace('\'', '"')).get(0);
        Assert.assertEquals(example.contexts(), contexts);
        Assert.assertEquals(example.continuations(), continuations);
        Assert.assertEquals(example.gold(), gold);
        if (task == Task.ARC) {
            Assert.assertEquals(example.length(1), 8); // code points, no leading space
        }
    }

    @Test
    public void limitKeepsTheFirstExamples() throws IOException {
        String line = "{\"text\":\"a b\"}";
        Assert.assertEquals(read(Task.LAMBADA, 2, line, "", line, "broken").size(), 2);
        Assert.assertEquals(read(Task.LAMBADA, 0, line, line, line).size(), 3);
    }

    @DataProvider
    public static Object[][] brokenLines() {
        return new Object[][] {
            {Task.PIQA, "{\"goal\":\"a\",\"sol1\":\"b\",\"label\":0}", "\"sol2\" must be a text"},
            {Task.PIQA, "[1]", "it is no JSON object"},
            {Task.PIQA, "{\"query\":\"a\",\"choices\":[\"b\"],\"gold\":1}", "right choice is 1"},
            {Task.PIQA, "{\"query\":\"a\",\"choices\":\"b\",\"gold\":1}", "a list of texts"},
            {Task.WINOGRANDE, "{\"sentence\":\"no gap\"}", "has no gap"},
            {Task.LAMBADA, "{\"text\":\"word\"}", "one word only"},
            {Task.HELLASWAG, "{", ""},
        };
    }

    @Test(dataProvider = "brokenLines")
    public void brokenLineIsNamed(Task task, String line, String message) {
        IOException e = Assert.expectThrows(IOException.class, () -> read(task, 0, "", line));
        Assert.assertTrue(e.getMessage().contains(", line 2 is no " + task.key()), e.getMessage());
        Assert.assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test
    public void longContextsLoseTheirBeginning() {
        long[] context = {1, 2, 3, 4};
        long[] whole = {9, 2, 3, 4, 5, 6};
        Continuations.Request all = TaskEvaluation.request(context, whole, 5, "text");
        Assert.assertEquals(all.ids(), new long[] {1, 2, 3, 4, 5, 6}); // the context's own tokens
        Assert.assertEquals(all.start(), 4);
        Continuations.Request cut = TaskEvaluation.request(context, whole, 3, "text");
        Assert.assertEquals(cut.ids(), new long[] {3, 4, 5, 6});
        Assert.assertEquals(cut.start(), 2);
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> TaskEvaluation.request(new long[0], whole, 5, "text"));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> TaskEvaluation.request(whole, context, 5, "text"));
        Assert.assertThrows(
                IllegalArgumentException.class,
                () -> TaskEvaluation.request(context, whole, 1, "text"));
    }
}
