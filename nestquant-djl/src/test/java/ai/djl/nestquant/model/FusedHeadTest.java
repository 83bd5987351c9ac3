package ai.djl.nestquant.model;

import static ai.djl.nestquant.model.SharedModels.ids;
import static ai.djl.nestquant.model.SharedModels.load;
import static ai.djl.nestquant.model.SharedModels.newManager;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import java.nio.FloatBuffer;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Norm and head in the same call as the layers, by the blocks. */
public class FusedHeadTest {

    /** Sums of the norm and of a dense factor in another order, where no entry is rounded so. */
    private static final double SUMS = 1e-5;

    /** As before, and a few of some hundred entries rounded to the other side, by 1/127 of all. */
    private static final double EIGHT_BITS = 3e-3;

    /** As before, but to another lattice point. */
    private static final double FOUR_BITS = 0.05;

    @DataProvider
    public Object[][] heads() {
        return new Object[][] {
            {"goldens/dev/llama_gqa_tied", "w4a8", SUMS},
            {"goldens/dev/llama_gqa_tied", "w4a8,head=w4", EIGHT_BITS},
            {"goldens/dev/qwen2_tied", "w4a4,head=w4", FOUR_BITS},
            {"goldens/dev/qwen2_tied", "w4,head=w4", SUMS},
            {"goldens/dev/llama_bias_sharded", "w4a4", SUMS},
            {"goldens/dev/llama_bias_sharded", "w4a8,head=w4", EIGHT_BITS},
            {"goldens/dev/llama_bias_sharded", "w4a4,head=w4", FOUR_BITS},
            {"goldens/dev/llama_bias_sharded", "w4,head=w4", SUMS},
            {"models/demo", "w4a8kv4,rotation=off", SUMS},
            {"models/demo", "w4a8,head=w4,rotation=off", EIGHT_BITS},
            {"models/demo", "w3a8kv4", SUMS}
        };
    }

    private static FusedHead fused(CausalLm model) {
        Block norm = null;
        Block head = null;
        for (var child : model.getChildren()) {
            switch (Blocks.ownName(child)) {
                case "norm" -> norm = child.getValue();
                case "embed_tokens", "lm_head" -> head = child.getValue();
                default -> {}
            }
        }
        return FusedHead.of(norm, head);
    }

    private static void skipUnlessNative() {
        if (Kernels.best().name().equals("portable")) {
            throw new SkipException("the portable kernels have no head in one call");
        }
    }

    /** Logits of the last of three tokens. */
    private static float[] last(CausalLm model, NDManager manager, boolean lastOnly) {
        NDArray input = manager.create(ids(3), new Shape(1, 3));
        ParameterStore store = new ParameterStore(manager, false);
        try (KvCache cache = model.newCache(manager, 3)) {
            NDArray logits = model.logits(store, input, null, cache, lastOnly);
            Assert.assertEquals(cache.length(), 3);
            Assert.assertEquals(logits.getShape().get(1), lastOnly ? 1 : 3);
            return logits.get("0, -1").toFloatArray();
        }
    }

    @Test(dataProvider = "heads")
    public void lastTokensLogitsAreThoseOfTheBlocks(String name, String quantization, double bound)
            throws Exception {
        try (NDManager manager = newManager()) {
            CausalLm model = load(name, quantization, manager);
            Assert.assertEquals(
                    fused(model) == null, Kernels.best().name().equals("portable"), quantization);
            float[] blocks = last(model, manager, false);
            float[] fused = last(model, manager, true);
            double error = 0;
            double size = 0;
            for (int i = 0; i < blocks.length; i++) {
                error += Math.pow(fused[i] - blocks[i], 2);
                size += Math.pow(blocks[i], 2);
            }
            double relative = Math.sqrt(error / size);
            Assert.assertTrue(relative <= bound, "differ by " + relative);
        }
    }

    @Test
    public void clocksSeeTheBlocks() throws Exception {
        try (NDManager manager = newManager()) {
            CausalLm model = load("models/demo", "w4a8", manager);
            try (StageClock clock = StageClock.start()) {
                last(model, manager, true);
                for (Stage stage : new Stage[] {Stage.ROTATION, Stage.ENCODING, Stage.PRODUCTS}) {
                    Assert.assertTrue(clock.seconds(stage) > 0, stage.name());
                }
            }
        }
    }

    @Test
    public void floatHeadsStayBlocks() throws Exception {
        try (NDManager manager = newManager()) {
            Assert.assertNull(fused(load("models/demo", "w4a8,head=float", manager)));
        }
    }

    @Test
    public void closingTheManagerFreesTheHead() throws Exception {
        skipUnlessNative();
        try (NDManager manager = newManager()) {
            FusedHead fused;
            FloatBuffer h = manager.zeros(new Shape(192)).toByteBuffer(true).asFloatBuffer();
            FloatBuffer logits = manager.zeros(new Shape(2048)).toByteBuffer(true).asFloatBuffer();
            try (NDManager weights = manager.newSubManager()) {
                fused = fused(load("models/demo", "w4a8", weights));
                fused.kernel().run(h, logits);
            }
            Assert.assertThrows(IllegalStateException.class, () -> fused.kernel().run(h, logits));
        }
    }
}
