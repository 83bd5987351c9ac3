package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.codec.AbsmaxQuantizer;
import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BetaSet;
import ai.djl.nestquant.codec.ClippedQuantizer;
import ai.djl.nestquant.codec.LatticeQuantizer;
import ai.djl.nestquant.codec.MxFp4Quantizer;
import ai.djl.nestquant.codec.NvFp4Quantizer;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.Q4ZeroQuantizer;
import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.ArrayList;
import java.util.List;

/** The codes that the studies compare. */
final class StudyCodes {
    private static final int GROUP = 32;

    /** Nesting ratios from 2 to 5 bits. */
    private static final int[] RATIOS = {4, 6, 8, 10, 12, 14, 16, 24, 32};

    /** Nesting ratios whose digits are whole bits. */
    private static final int[] WORD_RATIOS = {4, 8, 16, 32};

    /** The largest of 2^28 Gaussian entries stays below 6.5 standard deviations. */
    private static final float GAUSSIAN_RANGE = 6.5f;

    private StudyCodes() {}

    /** Returns every code, for N(0,1) rows of the given length. */
    static List<StudyCode> all(int columns) {
        List<StudyCode> codes = new ArrayList<>();
        codes.addAll(lattices(CoarseLattice.GOSSET, RATIOS, 1, 2, 4, 8));
        codes.addAll(lattices(CoarseLattice.DUAL_CHECKERBOARD, WORD_RATIOS, 4, 8));
        codes.addAll(lattices(CoarseLattice.GOSSET_FIXED, WORD_RATIOS, 4));
        codes.addAll(lattices(CoarseLattice.CUBE, WORD_RATIOS, 4));
        codes.addAll(ladders());
        codes.addAll(uniform(columns));
        codes.addAll(formats());
        return codes;
    }

    /** Returns fewer codes: a product takes longer than a row. */
    static List<StudyCode> forProducts(int columns) {
        List<StudyCode> codes = new ArrayList<>();
        codes.addAll(lattices(CoarseLattice.GOSSET, RATIOS, 4));
        codes.addAll(lattices(CoarseLattice.DUAL_CHECKERBOARD, WORD_RATIOS, 8));
        codes.addAll(lattices(CoarseLattice.GOSSET_FIXED, WORD_RATIOS, 4));
        codes.addAll(ladders());
        codes.addAll(uniform(columns));
        codes.addAll(formats());
        return codes;
    }

    /** Voronoi codes with the scales that suit N(0,1) best. */
    static List<StudyCode> lattices(CoarseLattice coarse, int[] ratios, int... sizes) {
        List<StudyCode> codes = new ArrayList<>();
        for (int ratio : ratios) {
            VoronoiCode code = new VoronoiCode(coarse, ratio);
            String family = code.name().replaceFirst("\\d+", "q");
            StudyBetas betas = new StudyBetas(code);
            for (int k : sizes) {
                codes.add(
                        new StudyCode(
                                family + ", k = " + k,
                                code.name(),
                                k,
                                GossetLattice.DIMENSION,
                                LatticeQuantizer.normalized(
                                        code, betas.best(k), BetaPolicy.BEST_FIT)));
            }
        }
        return codes;
    }

    /**
     * The codes that models run on: int8 rows, their scale at the Gaussian unit or searched for.
     */
    static List<StudyCode> ladders() {
        List<StudyCode> codes = new ArrayList<>();
        for (PackedCode packed : PackedCode.values()) {
            VoronoiCode code = packed.cosets();
            BetaSet betas = packed.ladder().betas();
            codes.add(
                    ladder(
                            packed,
                            "",
                            LatticeQuantizer.normalized(code, betas, BetaPolicy.BEST_FIT)));
            codes.add(ladder(packed, ", scale searched", LatticeQuantizer.searched(code, betas)));
        }
        return codes;
    }

    private static StudyCode ladder(PackedCode code, String suffix, LatticeQuantizer quantizer) {
        return new StudyCode(
                "integer ladder" + suffix,
                code.cosets().name() + " ladder" + suffix,
                code.ladder().size(),
                GossetLattice.DIMENSION,
                quantizer);
    }

    /** Uniform integers, one scale per row or per 32 entries. */
    static List<StudyCode> uniform(int columns) {
        List<StudyCode> codes = new ArrayList<>();
        for (int bits = 2; bits <= 6; bits++) {
            String name = "int" + bits;
            codes.add(
                    new StudyCode(
                            "uniform, absmax per row",
                            name + " absmax per row",
                            1,
                            columns,
                            new AbsmaxQuantizer(bits, 0)));
            codes.add(
                    new StudyCode(
                            "uniform, absmax per 32",
                            name + " absmax per 32",
                            1,
                            GROUP,
                            new AbsmaxQuantizer(bits, GROUP)));
            codes.add(
                    new StudyCode(
                            "uniform, clipped per row",
                            name + " clipped per row",
                            1,
                            columns,
                            new ClippedQuantizer(bits)));
        }
        return codes;
    }

    /** The four-bit formats in use. */
    static List<StudyCode> formats() {
        return List.of(
                new StudyCode("Q4_0", "Q4_0", 1, GROUP, new Q4ZeroQuantizer()),
                new StudyCode("MXFP4", "MXFP4", 1, GROUP, new MxFp4Quantizer()),
                new StudyCode("NVFP4", "NVFP4", 1, 16, new NvFp4Quantizer(GAUSSIAN_RANGE)));
    }
}
