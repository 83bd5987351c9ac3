package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Beta sets for Gaussian entries of standard deviation 1: what {@link BetaSearch} picks for
 * best-fit from 20,000 blocks of {@code java.util.Random(1)}, with candidates {@code 1.6/q ·
 * 1.03^g}.
 *
 * <p>Names are coarse lattice, nesting ratio and k. Immutable and thread-safe.
 */
public final class GaussianBetas {
    /** 16·E8, one scale: 4 bits. */
    public static final BetaSet E8_16_K1 = BetaSet.of(0.4651);

    /** 16·E8, two scales: 4.125 bits. */
    public static final BetaSet E8_16_K2 = BetaSet.of(0.2732, 0.4651);

    /** 16·E8, four scales: 4.25 bits, D = 0.00441. */
    public static final BetaSet E8_16_K4 = BetaSet.of(0.2033, 0.2575, 0.3167, 0.4651);

    /** 16·E8, eight scales: 4.375 bits, D = 0.00356. */
    public static final BetaSet E8_16_K8 =
            BetaSet.of(0.1702, 0.2033, 0.2288, 0.2500, 0.2732, 0.2985, 0.3461, 0.4651);

    /** 14·E8, four scales, the paper's default: 4.057 bits, D = 0.00579. */
    public static final BetaSet E8_14_K4 = BetaSet.of(0.2323, 0.2943, 0.3728, 0.5315);

    /**
     * 14·E8, four scales used so unevenly that entropy coding brings a {@link DenseMatrix} below 4
     * bits; picked by hand near {@link #E8_14_K4}.
     */
    public static final BetaSet E8_14_DENSE = BetaSet.of(0.253, 0.323, 0.4, 0.5315);

    /** 8·E8, four scales: 3.25 bits, D = 0.0182. */
    public static final BetaSet E8_8_K4 = BetaSet.of(0.4066, 0.5150, 0.6524, 0.9581);

    /** 4·E8, four scales: 2.25 bits, D = 0.0817. */
    public static final BetaSet E8_4_K4 = BetaSet.of(0.8375, 1.0928, 1.4258, 2.0329);

    /** 64·E8, four scales, near lossless: 6.25 bits, D = 0.00027. */
    public static final BetaSet E8_64_K4 = BetaSet.of(0.0493, 0.0625, 0.0792, 0.1129);

    /** 16·D8*, eight scales: 4.25 bits, D = 0.00470. */
    public static final BetaSet D8_16_K8 =
            BetaSet.of(0.1974, 0.2357, 0.2652, 0.2985, 0.3360, 0.3782, 0.4651, 0.7035);

    /** 16·Z^8, four scales: 4.25 bits, D = 0.00574. */
    public static final BetaSet CUBE_16_K4 = BetaSet.of(0.2221, 0.2985, 0.4012, 0.7035);

    /** 16·E8 with the fixed-coordinate leader, four scales: 4.25 bits, D = 0.00571. */
    public static final BetaSet E8_FIXED_16_K4 = BetaSet.of(0.2221, 0.2985, 0.3895, 0.7035);

    private static final int BLOCKS = 20_000;
    private static final double FINEST = 1.6;
    private static final double RATIO = 1.03;

    private static final Map<String, BetaSet> SEARCHED = new ConcurrentHashMap<>();

    private GaussianBetas() {}

    /**
     * Searches a set that is none of the constants, once for each code and k.
     *
     * @param code the cosets of E8 that can be stored
     * @param k the number of scales
     * @return what {@link BetaSearch} picks for best-fit
     * @throws IllegalArgumentException if k is below 1 or above the number of candidates
     */
    public static BetaSet search(VoronoiCode code, int k) {
        return SEARCHED.computeIfAbsent(
                code + " " + k, name -> search(code).search(k, BetaPolicy.BEST_FIT));
    }

    /** Measures the sample with every candidate. */
    static BetaSearch search(VoronoiCode code) {
        Random random = new Random(1);
        float[] sample = new float[BLOCKS * PackedMatrix.BLOCK];
        for (int i = 0; i < sample.length; i++) {
            sample[i] = (float) random.nextGaussian();
        }
        return new BetaSearch(code, sample, FINEST / code.nestingRatio(), RATIO);
    }
}
