package ai.djl.nestquant.model;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nestquant.checkpoint.ModelType;
import ai.djl.nestquant.checkpoint.RopeConfig;
import ai.djl.training.ParameterStore;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class RandomWeightsTest {

    /** Row scales, rounding up to tiles and norms, which the estimate leaves out. */
    private static final double ESTIMATE = 0.05;

    private static final ModelConfig CONFIG = small(true);

    private static ModelConfig small(boolean tied) {
        return config(2, 128, 384, 4, 2, 32, 1024, 512, tied);
    }

    /** Returns a configuration of the Llama family. */
    static ModelConfig config(
            int layers,
            int hidden,
            int inner,
            int heads,
            int kvHeads,
            int headSize,
            int vocabulary,
            int positions,
            boolean tied) {
        return new ModelConfig(
                ModelType.LLAMA,
                layers,
                hidden,
                inner,
                heads,
                kvHeads,
                headSize,
                vocabulary,
                positions,
                1e-5,
                new RopeConfig(RopeConfig.Type.DEFAULT, 10000, 1, 0, 0, 0),
                false,
                false,
                false,
                false,
                tied,
                Collections.nCopies(layers, 0),
                Optional.empty(),
                OptionalInt.empty(),
                List.of());
    }

    @DataProvider
    public static Object[][] quantizations() {
        return new Object[][] {
            {"none"},
            {"w4a8"},
            {"w3a8,head=float"},
            {"w4,code=e8"},
            {"w4a4kv4"},
            {"kv4"},
            {"w8a8"},
            {"w4a8,w3=*.up_proj,w8=*.v_proj,exclude=*.0.mlp.*"}
        };
    }

    @Test(dataProvider = "quantizations")
    public void activationsKeepTheSizeThatGaussianWeightsGiveThem(String quantization) {
        try (NDManager manager = Engine.getEngine("PyTorch").newBaseManager()) {
            QuantizationConfig parsed = QuantizationConfig.parse(quantization);
            CausalLm model = RandomWeights.model(CONFIG, parsed, manager);
            NDArray ids = manager.create(new long[] {1, 500, 1023, 4}, new Shape(1, 4));
            try (KvCache cache = model.newCache(manager, 16)) {
                ParameterStore store = new ParameterStore(manager, false);
                NDArray logits = model.logits(store, ids, cache, false);
                // normed states have unit entries, embeddings of 128 a norm of 1
                double size = Math.sqrt(logits.square().mean().getFloat());
                Assert.assertTrue(size > 0.5 && size < 2, "root mean square " + size);
            }
            WeightSummary weights = WeightSummary.of(model);
            long estimate = RandomWeights.bytes(CONFIG, parsed);
            Assert.assertEquals(weights.weightBytes(), estimate, ESTIMATE * estimate);
        }
    }

    @Test
    public void headOfItsOwnIsCodedAsAsked() {
        try (NDManager manager = Engine.getEngine("PyTorch").newBaseManager()) {
            for (String head : List.of("int8", "w4", "float")) {
                QuantizationConfig quantization = QuantizationConfig.parse("w4a8,head=" + head);
                CausalLm model = RandomWeights.model(small(false), quantization, manager);
                boolean coded = model.getChildren().get("05lm_head") instanceof NestQuantLinear;
                Assert.assertEquals(coded, head.equals("w4"), model.getChildren().keys() + head);
            }
            QuantizationConfig w4 = QuantizationConfig.parse("w4,head=w4");
            WeightSummary tied = WeightSummary.of(RandomWeights.model(CONFIG, w4, manager));
            long norms = (2L * CONFIG.layers() + 1) * CONFIG.hiddenSize();
            Assert.assertEquals(tied.quantizedParameters(), tied.parameters() - norms);
        }
    }
}
