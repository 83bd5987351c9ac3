package ai.djl.nestquant.engine;

import ai.djl.MalformedModelException;
import ai.djl.util.JsonUtils;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Chats become the prompts that a model's publisher means. */
public class ChatTemplateTest {

    private static final Chat CHAT =
            new Chat()
                    .system("Be brief.")
                    .user("Hi {{ 1 + 1 }} <b>\n")
                    .assistant("Hello.")
                    .user("?");

    private Path folder;

    @BeforeMethod
    public void createFolder() throws IOException {
        folder = Files.createTempDirectory("chat-template-test");
    }

    @AfterMethod(alwaysRun = true)
    public void deleteFolder() throws IOException {
        try (Stream<Path> walk = Files.walk(folder)) {
            for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    private ChatTemplate template(String jinja) throws IOException, MalformedModelException {
        JsonObject config = new JsonObject();
        config.addProperty("chat_template", jinja);
        config.addProperty("bos_token", "<s>");
        JsonObject eos = new JsonObject();
        eos.addProperty("content", "</s>");
        config.add("eos_token", eos);
        Files.writeString(folder.resolve("tokenizer_config.json"), config.toString());
        return ChatTemplate.open(folder);
    }

    @DataProvider
    public static Object[][] templates() {
        return new Object[][] {
            {
                "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m.content }}{{ eos_token }}"
                        + "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
                "<s>[system]Be brief.</s>[user]Hi {{ 1 + 1 }} <b>\n</s>[assistant]Hello.</s>"
                        + "[user]?</s>[assistant]"
            },
            {
                // statements on lines of their own leave nothing behind; - takes more away
                "{%- if messages[0]['role'] == 'system' %}\n"
                        + "    {%- set first = messages[0]['content'] %}\n"
                        + "    {%- set messages = messages[1:] %}\n"
                        + "{%- endif %}\n"
                        + "{%- for message in messages %}\n"
                        + "  {% if loop.first and first %}\n"
                        + "    {{- '<<' + first + '>>\\n' }}\n"
                        + "  {% endif %}\n"
                        + "    {{- message.content | trim }}|\n"
                        + "{%- endfor %}\n",
                "<<Be brief.>>\n\nHi {{ 1 + 1 }} <b>|Hello.|?|"
            },
            {
                "{%- set ns = namespace(last=messages|length - 1, any=false) %}"
                        + "{%- for message in messages[::-1] %}"
                        + "{%- if message.role == 'assistant' %}{% set ns.any = true %}{% endif %}"
                        + "{{- loop.index0 }}{{ message.role }} {% endfor %}{{ ns.last }}{{ ' any' if ns.any }}",
                "0user 1assistant 2user 3system 3 any"
            },
            {
                "{% set c = messages[1].content %}{{ c.rstrip('\\n').split(' ')[-1].lstrip('<') }} "
                        + "{{ c.startswith('Hi') and not c.endswith('Hi') }} {{ c.strip() }} "
                        + "{{ 'a b c'.split(' ', 1)[1] }} {{ 'aB'.upper() + 'aB'.lower() }} "
                        + "{{ tools is defined }} {{ 'Be' in messages[0].content }}",
                "b> true Hi {{ 1 + 1 }} <b> b c ABab false true"
            },
            {
                "{{ '\u00a0a\u3000b\u0085'.strip() }}|{{ ' a\u3000 b\n'.split()|join('+') }}"
                        + "|{{ ' '.split()|length }}",
                "a\u3000b|a+b|0"
            },
            {"{{ '\u00a0a\u3000'|trim }}|{{ messages[0].content|upper }}", "a|BE BRIEF."},
            {"{% if strftime_now is defined %}{{ strftime_now('in %Y')[:5] }}{% endif %}", "in 20"},
        };
    }

    @Test(dataProvider = "templates")
    public void templatesMeanWhatTheyMeanInTransformers(String jinja, String prompt)
            throws Exception {
        Assert.assertEquals(template(jinja).render(CHAT), prompt);
    }

    @Test
    public void referencePromptsOfSmolLm2AreMet() throws Exception {
        JsonObject golden = SharedFiles.golden("smollm2-135m");
        ChatTemplate template = ChatTemplate.open(SharedFiles.model("smollm2-135m"));
        int chats = 0;
        for (JsonElement element : golden.getAsJsonArray("chat")) {
            Chat chat = JsonUtils.GSON.fromJson(element, Chat.class);
            String rendered = element.getAsJsonObject().get("rendered").getAsString();
            Assert.assertEquals(template.render(chat), rendered);
            chats++;
        }
        Assert.assertEquals(chats, 2);
    }

    @Test
    public void aFileOfItsOwnComesFirstAndTheDefaultOfSeveral() throws Exception {
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"T\"},"
                        + " {\"name\": \"default\", \"template\": \"D\"}]}");
        Assert.assertEquals(ChatTemplate.open(folder).render(CHAT), "D");
        Files.writeString(folder.resolve("chat_template.jinja"), "F{{ messages[3].content }}");
        Assert.assertEquals(ChatTemplate.open(folder).render(CHAT), "F?");
    }

    @Test
    public void whatCannotBeUsedIsNamed() throws Exception {
        Path file = folder.resolve("tokenizer_config.json");
        assertRefused("", file + " has no key 'chat_template'");
        String[][] configs = {
            {"{}", "has no key 'chat_template'"},
            {"{\"chat_template\": 3}", "key 'chat_template' must be a string"},
            {"{\"chat_template\": [3]}", "key 'chat_template' must be an array of objects"},
            {"{\"chat_template\": [{\"name\": \"a\"}]}", "no template with the name \"default\""},
            {"{\"chat_template\": [{}]}", "key 'chat_template[0].name' is missing"},
            {"{\"bos_token\": {}}", "key 'bos_token.content' is missing"},
        };
        for (String[] config : configs) {
            assertRefused(config[0], config[1]);
        }
        String[][] templates = {
            {"{% if %}", "the chat template cannot be used"},
            {"{% for m in messages %}", "the chat template cannot be used"},
            {"{{ messages[0].content.swapcase() }}", "swapcase"},
            {"{{ '%s'.format(1) }}", "format of strings"},
            {"{{ strftime_now('%d %H') }}", "strftime_now"},
            {"{{ raise_exception('only users') }}", "refuses these messages: only users"},
        };
        for (String[] template : templates) {
            ChatTemplate opened = template(template[0]);
            String message =
                    Assert.expectThrows(IllegalArgumentException.class, () -> opened.render(CHAT))
                            .getMessage();
            Assert.assertTrue(message.startsWith(file + ": the chat template"), message);
            Assert.assertTrue(message.contains(template[1]), message);
        }
        ChatTemplate good = template("x");
        Assert.expectThrows(IllegalArgumentException.class, () -> good.render(new Chat()));
        Assert.expectThrows(IllegalArgumentException.class, () -> new Chat().user(null));
        Assert.expectThrows(IllegalArgumentException.class, () -> new Chat.Message(" ", "x"));
        Assert.expectThrows(IllegalArgumentException.class, () -> new Chat(null));
        Files.write(folder.resolve("chat_template.jinja"), new byte[] {(byte) 0xff, '{'});
        assertRefused("", folder.resolve("chat_template.jinja") + ": not valid UTF-8");
    }

    private void assertRefused(String config, String part) throws IOException {
        if (!config.isEmpty()) {
            Files.writeString(folder.resolve("tokenizer_config.json"), config);
        }
        String message =
                Assert.expectThrows(MalformedModelException.class, () -> ChatTemplate.open(folder))
                        .getMessage();
        Assert.assertTrue(message.contains(part), message);
    }
}
