package ai.djl.nestquant.model;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.nestquant.checkpoint.Checkpoint;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.checkpoint.SafetensorsFile;
import ai.djl.nestquant.engine.EmbeddedModel;
import ai.djl.nn.Block;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** docs/read_nestquant.py, which knows FORMAT.md only, decodes what the library decodes. */
public class ContainerReaderTest {

    /** Interpreter with numpy; a property, since some systems keep numpy in an environment. */
    private static final String PYTHON = System.getProperty("nestquant.python", "python3");

    @DataProvider
    public static Object[] quantizations() {
        return new Object[] {
            "w4a8",
            "w4,code=e8",
            "w3a8",
            "w3,code=e8",
            "w4a8,head=w4",
            "w4a8,rotation=off",
            "w8,w3=*.up_proj",
            "w4,code=e8,head=w4,w3=*.up_proj,w8=*.v_proj,exclude=model.layers.1.mlp.*"
        };
    }

    private static int python(Object... arguments) throws IOException, InterruptedException {
        Stream<String> texts = Stream.of(arguments).map(Object::toString);
        return new ProcessBuilder(Stream.concat(Stream.of(PYTHON), texts).toList())
                .inheritIO()
                .start()
                .waitFor();
    }

    @Test(dataProvider = "quantizations")
    public void thePythonReaderDecodesTheSameFloats(String quantization) throws Exception {
        try {
            if (python("-c", "import numpy") != 0) {
                throw new SkipException(PYTHON + " has no numpy; set -Dnestquant.python");
            }
        } catch (IOException e) {
            throw new SkipException(PYTHON + " cannot be started; set -Dnestquant.python");
        }
        Path folder = Files.createTempDirectory("container-reader");
        Path stored = folder.resolve("quantised");
        Path decoded = folder.resolve("decoded.safetensors");
        QuantizationConfig config = QuantizationConfig.parse(quantization + ",balance=off");
        try (NDManager manager = Engine.getEngine("PyTorch").newBaseManager(Device.cpu())) {
            ContainerWriter.write(
                    EmbeddedModel.path(), stored, config, null, "test", manager, (p, t, w) -> {});
            String script = Path.of("docs", "read_nestquant.py").toString();
            // without rotation, nothing is rotated back
            String[] options = config.rotates() ? new String[] {"--rotated"} : new String[0];
            Object[] files = {script, stored, decoded};
            Assert.assertEquals(python(Stream.of(files, options).flatMap(Stream::of).toArray()), 0);
            try (SafetensorsFile file = SafetensorsFile.open(decoded);
                    Checkpoint checkpoint = Checkpoint.open(stored)) {
                PackedReader reader =
                        new PackedReader(ModelConfig.load(stored), checkpoint, config);
                CausalLm model = reader.read(manager);
                int excluded = quantization.contains("exclude") ? 3 : 0;
                Assert.assertEquals(compare("model", model, file), 7 * 6 + 1 - excluded);
            }
        }
        try (Stream<Path> rest = Files.walk(folder)) {
            for (Path path : rest.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    /** Compares all coded matrices below a block and returns their number. */
    private static int compare(String name, Block block, SafetensorsFile file) throws Exception {
        String tensor = name.replaceAll("\\.layer(\\d+)", ".layers.$1") + ".weight";
        int count = 0;
        CodedArrays codes = null;
        if (block instanceof NestQuantLinear linear) {
            codes = linear.codes();
        } else if (block instanceof CodedVocabulary vocabulary) {
            codes = vocabulary.codes();
        }
        if (codes != null) {
            float[] floats = file.readFloats(tensor);
            float[] row = new float[floats.length / codes.rows()];
            for (int i = 0; i < codes.rows(); i++) {
                codes.decodeRow(i, row);
                for (int c = 0; c < row.length; c++) {
                    if (row[c] != floats[i * row.length + c]) {
                        throw new AssertionError(tensor + " differs in row " + i + ", column " + c);
                    }
                }
            }
            count++;
        }
        for (var child : block.getChildren()) {
            count += compare(name + '.' + Blocks.ownName(child), child.getValue(), file);
        }
        return count;
    }
}
