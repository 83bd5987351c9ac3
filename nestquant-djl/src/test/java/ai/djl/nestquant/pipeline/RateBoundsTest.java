package ai.djl.nestquant.pipeline;

import org.testng.Assert;
import org.testng.annotations.Test;

/** The bounds' own laws. */
public class RateBoundsTest {
    /** Rounding of a few doubles. */
    private static final double ROUNDING = 1e-12;

    @Test
    public void criticalRateIsThePublishedOne() {
        Assert.assertEquals(RateBounds.CRITICAL_RATE, 0.906, 0.0005);
        double r = RateBounds.CRITICAL_RATE;
        Assert.assertEquals(Math.pow(4, r), 1 + 4 * r * Math.log(2), 1e-9);
    }

    @Test
    public void valuesByHand() {
        Assert.assertEquals(RateBounds.distortion(1), 0.25, ROUNDING);
        Assert.assertEquals(RateBounds.distortion(4), 1.0 / 256, ROUNDING);
        Assert.assertEquals(RateBounds.productError(0), 1, ROUNDING);
        Assert.assertEquals(RateBounds.productError(1), 0.5 - 0.0625, ROUNDING);
        Assert.assertEquals(RateBounds.productError(4), 2.0 / 256 - 1.0 / 65536, ROUNDING);
        Assert.assertEquals(RateBounds.decibels(0.02, 0.002), 10, ROUNDING);
    }

    @Test
    public void productBoundIsConvexDecreasingAndBelowTheNaiveOne() {
        double step = 0.01;
        for (double rate = step; rate < 8; rate += step) {
            double left = RateBounds.productError(rate - step);
            double here = RateBounds.productError(rate);
            double right = RateBounds.productError(rate + step);
            Assert.assertTrue(here < left && 2 * here <= left + right + ROUNDING, "at " + rate);
            double d = RateBounds.distortion(rate);
            Assert.assertTrue(here <= 2 * d - d * d + ROUNDING, "at " + rate);
        }
    }

    /** The tangent touches φ in R*: value and slope agree. */
    @Test
    public void linearPartIsTangent() {
        double h = 1e-6;
        double r = RateBounds.CRITICAL_RATE;
        double below = (RateBounds.productError(r) - RateBounds.productError(r - h)) / h;
        double above = (RateBounds.productError(r + h) - RateBounds.productError(r)) / h;
        Assert.assertEquals(below, above, 1e-5);
    }
}
