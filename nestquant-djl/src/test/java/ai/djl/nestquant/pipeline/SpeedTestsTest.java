package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.pipeline.SpeedTests.SpeedTest;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class SpeedTestsTest {

    @Test
    public void everyDepthHasEveryTestAndTheEmptyCacheComesFirst() {
        SpeedTests tests = new SpeedTests(List.of(128, 0), List.of(32), List.of(1024, 0), 3);
        Assert.assertEquals(
                tests.all().stream().map(SpeedTest::name).toList(),
                List.of("pp128", "tg32", "pp128@1024", "tg32@1024"));
        Assert.assertEquals(tests.positions(), 1024 + 128);
        Assert.assertEquals(tests.runs(), 12);
    }

    @Test
    public void rowsHoldMeanAndSampleDeviation() {
        SpeedReport.Row row = SpeedReport.Row.of("tg1", 2, List.of(1.0, 2.0, 6.0));
        Assert.assertEquals(row.tokensPerSecond(), 3, 1e-12);
        Assert.assertEquals(row.deviation(), Math.sqrt(7), 1e-12);
        Assert.assertEquals(SpeedReport.Row.of("tg1", 2, List.of(4.0)).deviation(), 0.0);
    }

    @Test
    public void floatsThatMemoryCannotHoldAreRefusedWithTheirSize() {
        Exception e =
                Assert.expectThrows(
                        IllegalStateException.class,
                        () -> ProcessMemory.require(Long.MAX_VALUE, "weights of a giant"));
        Assert.assertTrue(
                e.getMessage().startsWith("weights of a giant need 9223372036.9 GB, but only"),
                e.getMessage());
    }
}
