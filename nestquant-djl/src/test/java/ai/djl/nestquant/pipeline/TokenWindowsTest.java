package ai.djl.nestquant.pipeline;

import java.util.stream.LongStream;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class TokenWindowsTest {

    private static TokenWindows windows(int tokens, int context, int limit) {
        return new TokenWindows(LongStream.range(0, tokens).toArray(), context, limit);
    }

    @Test
    public void windowsFollowEachOtherWithoutOverlap() {
        TokenWindows windows = windows(10, 4, 0);
        Assert.assertEquals(windows.count(), 3);
        Assert.assertEquals(windows.window(0), new long[] {0, 1, 2, 3});
        Assert.assertEquals(windows.window(1), new long[] {4, 5, 6, 7});
        Assert.assertEquals(windows.window(2), new long[] {8, 9});
        Assert.assertEquals(windows.tokens(), 10);
    }

    @DataProvider
    public static Object[][] cuts() {
        return new Object[][] { // tokens, context, limit, windows, tokens in them
            {8, 4, 0, 2, 8L},
            {9, 4, 0, 2, 8L}, // one token predicts nothing
            {3, 4, 0, 1, 3L},
            {10, 4, 2, 2, 8L},
            {10, 4, 3, 3, 10L},
            {10, 4, 99, 3, 10L},
            {86832, 512, 0, 170, 86832L}, // as in the demo model's reference
        };
    }

    @Test(dataProvider = "cuts")
    public void lastWindowCountsIfItPredictsSomething(
            int tokens, int context, int limit, int count, long scored) {
        TokenWindows windows = windows(tokens, context, limit);
        Assert.assertEquals(windows.count(), count);
        Assert.assertEquals(windows.tokens(), scored);
    }

    @Test
    public void overlappingWindowsPredictEveryTokenOnce() {
        for (int tokens = 2; tokens < 40; tokens++) {
            for (int context = 2; context < 12; context++) {
                for (int stride = 1; stride < context; stride++) {
                    checkCoverage(tokens, context, stride);
                }
            }
        }
    }

    private static void checkCoverage(int tokens, int context, int stride) {
        long[] ids = LongStream.range(0, tokens).toArray();
        TokenWindows windows = new TokenWindows(ids, context, stride, 0);
        int next = 1;
        for (int i = 0; i < windows.count(); i++) {
            long[] window = windows.window(i);
            int first = windows.firstPredicted(i);
            Assert.assertTrue(first < window.length && window.length <= context);
            Assert.assertEquals(window[first], next);
            next = (int) window[window.length - 1] + 1;
        }
        Assert.assertEquals(next, tokens, context + " by " + stride);
        Assert.assertEquals(windows.tokens(), tokens);
    }

    @Test
    public void whatPredictsNothingIsRefused() {
        Assert.assertThrows(IllegalArgumentException.class, () -> windows(10, 1, 0));
        Assert.assertThrows(IllegalArgumentException.class, () -> windows(10, 4, -1));
        Assert.assertThrows(IllegalArgumentException.class, () -> windows(1, 4, 0));
        for (int stride : new int[] {0, 5}) {
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> new TokenWindows(new long[10], 4, stride, 0));
        }
    }
}
