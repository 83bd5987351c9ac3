package ai.djl.nestquant.model;

import static ai.djl.nestquant.model.SharedModels.ids;
import static ai.djl.nestquant.model.SharedModels.load;
import static ai.djl.nestquant.model.SharedModels.logits;
import static ai.djl.nestquant.model.SharedModels.newManager;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.rotation.Rotation;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import java.util.Arrays;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Embeddings and output heads on int8 codes. */
public class CodedVocabularyTest {

    /**
     * Rounding errors of a Gaussian row of 40 entries: a step of absmax/127 ≈ 2.5σ/127, uniform
     * error of step/√12 = 0.6% of σ, which is the relative error of a product too.
     */
    private static final double INT8_ERROR = 0.01;

    /** Both int8 rounding of embedding and head, amplified by layers of random weights. */
    private static final double INT8_MODEL = 0.03;

    /** The dense factor of a rotation, summed in another order. */
    private static final double FLOAT_SUMS = 1e-6;

    /** Products from codes round x to 2^-19 of its largest entry, panels sum in float. */
    private static final double STEP_AGAINST_PASS = 1e-4;

    /** ‖a − b‖ / ‖b‖. */
    private static double relativeError(float[] a, float[] b) {
        double error = 0;
        double norm = 0;
        for (int i = 0; i < a.length; i++) {
            error += Math.pow(a[i] - b[i], 2);
            norm += Math.pow(b[i], 2);
        }
        return Math.sqrt(error / norm);
    }

    private static RotatedRows rows(NDArray weight) {
        int columns = Math.toIntExact(weight.getShape().get(1));
        return new RotatedRows(weight, QuantizationConfig.DEFAULT.rotation(columns));
    }

    @Test
    public void embeddingIsTheDecodedRowRotatedBack() {
        try (NDManager manager = newManager()) {
            int hidden = 36;
            NDArray weight = manager.randomNormal(new Shape(50, hidden));
            CodedVocabulary coded = CodedVocabulary.encode("table", rows(weight), manager);
            NDArray ids = manager.create(new long[] {49, 0, 17, 16}, new Shape(2, 2));
            NDArray rows = coded.embed(new ParameterStore(manager, false), ids);
            Assert.assertEquals(rows.getShape(), new Shape(2, 2, hidden));
            Rotation rotation = QuantizationConfig.DEFAULT.rotation(hidden);
            Int8Matrix matrix = ((Int8Arrays) coded.codes()).matrix();
            byte[] q = new byte[matrix.columns()];
            matrix.decodeRow(17, q);
            float[] row = new float[q.length];
            for (int c = 0; c < q.length; c++) {
                row[c] = q[c] * matrix.rowScale(17);
            }
            rotation.applyInverse(row, 0);
            float[] expected = Arrays.copyOf(row, hidden);
            float[] actual = rows.get("1, 0").toFloatArray();
            Assert.assertTrue(relativeError(actual, expected) < FLOAT_SUMS);
            Assert.assertTrue(relativeError(expected, weight.get(17).toFloatArray()) < INT8_ERROR);
        }
    }

    @Test
    public void stepsAndPanelsGiveTheProductWithTheMatrix() {
        try (NDManager manager = newManager()) {
            // more rows than a panel of 16 MB holds, and columns that are padded
            int rows = 110_000;
            int hidden = 36;
            NDArray weight = manager.randomNormal(new Shape(rows, hidden));
            CodedVocabulary coded = CodedVocabulary.encode("head", rows(weight), manager);
            NDArray x = manager.randomNormal(new Shape(2, 3, hidden));
            ParameterStore store = new ParameterStore(manager, false);
            NDArray y = coded.forward(store, new NDList(x), false).singletonOrThrow();
            Assert.assertEquals(y.getShape(), new Shape(2, 3, rows));
            float[] exact = Linear.linear(x, weight).singletonOrThrow().toFloatArray();
            Assert.assertTrue(relativeError(y.toFloatArray(), exact) < INT8_ERROR);
            NDArray last = x.get("1, 2").reshape(1, 1, hidden);
            NDArray step = coded.forward(store, new NDList(last), false).singletonOrThrow();
            float[] expected = y.get("1, 2").toFloatArray();
            Assert.assertTrue(relativeError(step.toFloatArray(), expected) < STEP_AGAINST_PASS);
        }
    }

    @DataProvider
    public Object[][] models() {
        return new Object[][] {
            {"goldens/dev/llama_gqa_tied"}, {"goldens/dev/llama_bias_sharded"}, {"models/demo"}
        };
    }

    @Test(dataProvider = "models")
    public void int8HeadGivesNearlyTheFloatLogits(String name) throws Exception {
        try (NDManager manager = newManager()) {
            float[] exact = logits(load(name, "none", manager), manager, ids(33), null);
            CausalLm coded = load(name, "none,head=int8", manager);
            float[] onePass = logits(coded, manager, ids(33), null);
            double error = relativeError(onePass, exact);
            Assert.assertTrue(error > 0, "not quantised");
            Assert.assertTrue(error < INT8_MODEL, "error " + error);
            float[] steps = new float[onePass.length];
            int vocabulary = coded.config().vocabularySize();
            try (KvCache cache = coded.newCache(manager, 33)) {
                for (int i = 0; i < 33; i++) {
                    float[] step = logits(coded, manager, new long[] {ids(33)[i]}, cache);
                    System.arraycopy(step, 0, steps, i * vocabulary, vocabulary);
                }
            }
            double difference = relativeError(steps, onePass);
            Assert.assertTrue(difference < STEP_AGAINST_PASS, "differ by " + difference);
        }
    }

    @Test
    public void tiedMatrixIsHeldOnceAndByteByByte() throws Exception {
        try (NDManager manager = newManager()) {
            WeightSummary plain = WeightSummary.of(load("models/demo", "w4,head=float", manager));
            WeightSummary coded = WeightSummary.of(load("models/demo", "w4", manager));
            long weights = 2048L * 192;
            Assert.assertEquals(
                    plain.weightBytes() - coded.weightBytes(),
                    Float.BYTES * weights - (weights + Float.BYTES * 2048L));
            Assert.assertEquals(coded.parameters(), plain.parameters());
            Assert.assertEquals(coded.quantizedParameters(), 2_359_296);
            Assert.assertEquals(coded.bitsPerWeight(), plain.bitsPerWeight());
        }
    }

    @Test
    public void untiedHeadCanShareTheCodeOfTheLayers() throws Exception {
        String name = "goldens/dev/llama_bias_sharded";
        try (NDManager manager = newManager()) {
            long matrix = 200L * 80;
            WeightSummary int8 = WeightSummary.of(load(name, "w4", manager));
            WeightSummary w4 = WeightSummary.of(load(name, "w4,head=w4", manager));
            WeightSummary plain = WeightSummary.of(load(name, "w4,head=float", manager));
            WeightSummary excluded = WeightSummary.of(load(name, "w4,exclude=lm_head", manager));
            Assert.assertEquals(int8.quantizedParameters(), plain.quantizedParameters());
            Assert.assertEquals(w4.quantizedParameters(), plain.quantizedParameters() + matrix);
            Assert.assertTrue(w4.weightBytes() < int8.weightBytes());
            // 208 rows in whole tiles, and a scale for each of 200
            long saved = Float.BYTES * matrix - 208 * 80 - Float.BYTES * 200;
            Assert.assertEquals(plain.weightBytes() - int8.weightBytes(), 2 * saved);
            Assert.assertEquals(excluded.weightBytes() - int8.weightBytes(), saved);
            Assert.assertEquals(int8.parameters(), plain.parameters());
        }
    }

    @Test
    public void tiedHeadStaysFloatWhereItIsExcludedAndIsNotSimulated() throws Exception {
        try (NDManager manager = newManager()) {
            String name = "goldens/dev/llama_gqa_tied";
            WeightSummary plain = WeightSummary.of(load(name, "w4,head=float", manager));
            for (String part : new String[] {"lm_head", "model.embed_tokens"}) {
                WeightSummary excluded =
                        WeightSummary.of(load(name, "w4,exclude=" + part, manager));
                Assert.assertEquals(excluded, plain);
            }
            String message =
                    Assert.expectThrows(
                                    IllegalArgumentException.class,
                                    () -> load(name, "w4,code=int4,head=w4", manager))
                            .getMessage();
            Assert.assertTrue(message.contains("head=int8 or head=float"), message);
        }
    }

    @Test
    public void tiedHeadCanShareTheCodeOfTheLayers() throws Exception {
        try (NDManager manager = newManager()) {
            String name = "goldens/dev/llama_gqa_tied";
            WeightSummary int8 = WeightSummary.of(load(name, "w4", manager));
            CausalLm model = load(name, "w4,head=w4", manager);
            WeightSummary w4 = WeightSummary.of(model);
            Vocabulary vocabulary = (Vocabulary) model.getChildren().get("01embed_tokens");
            long rows = model.config().vocabularySize();
            int hidden = model.config().hiddenSize();
            Assert.assertEquals(
                    w4.quantizedParameters() - int8.quantizedParameters(), rows * hidden);
            Assert.assertTrue(w4.weightBytes() < int8.weightBytes());
            // the logits of x = e_7, entry by entry, are the products with all embeddings
            ParameterStore store = new ParameterStore(manager, false);
            NDArray ids = manager.arange(0, rows, 1, DataType.INT64).reshape(1, rows);
            NDArray table = vocabulary.embed(store, ids).reshape(rows, hidden);
            NDArray x = table.get("7:8");
            NDArray logits = vocabulary.forward(store, new NDList(x), false).singletonOrThrow();
            float[] expected = Linear.linear(x, table).singletonOrThrow().toFloatArray();
            Assert.assertTrue(relativeError(logits.toFloatArray(), expected) < STEP_AGAINST_PASS);
        }
    }

    @Test
    public void headIsPartOfTheTextForm() {
        for (String text : new String[] {"w4,head=w4", "w4a8kv4,head=float", "kv4,head=int8"}) {
            Assert.assertEquals(QuantizationConfig.parse(text).toString(), text);
        }
        Assert.assertEquals(QuantizationConfig.parse("w4,head=int8").toString(), "w4");
        Assert.assertEquals(QuantizationConfig.parse("none,head=float").toString(), "none");
        for (String text : new String[] {"w4,head=int4", "w4,head", "w4,head=", "none,head=w4"}) {
            Assert.expectThrows(
                    IllegalArgumentException.class, () -> QuantizationConfig.parse(text));
        }
    }

    @Test
    public void weightsThatAreNotFiniteAreRefusedWithTheirPosition() {
        try (NDManager manager = newManager()) {
            NDArray weight = manager.zeros(new Shape(40, 24), DataType.FLOAT32);
            weight.toByteBuffer(true).asFloatBuffer().put(33 * 24 + 5, Float.NaN);
            String message =
                    Assert.expectThrows(
                                    IllegalArgumentException.class,
                                    () -> CodedVocabulary.encode("lm_head", rows(weight), manager))
                            .getMessage();
            Assert.assertTrue(
                    message.contains("lm_head.weight") && message.contains("column 5 of row 33"),
                    message);
        }
    }

    @Test
    public void closingTheManagerFreesTheCodes() throws Exception {
        try (NDManager manager = newManager()) {
            CausalLm model;
            try (NDManager weights = manager.newSubManager()) {
                model = load("goldens/dev/llama_gqa_tied", "w4", weights);
                logits(model, manager, ids(3), null);
            }
            Assert.expectThrows(
                    IllegalStateException.class, () -> logits(model, manager, ids(3), null));
        }
    }
}
