package ai.djl.nestquant.pipeline;

import ai.djl.nestquant.codec.AbsmaxQuantizer;
import ai.djl.nestquant.codec.ClippedQuantizer;
import ai.djl.nestquant.codec.Ladder;
import ai.djl.nestquant.codec.MxFp4Quantizer;
import ai.djl.nestquant.codec.NvFp4Quantizer;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
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
        codes.add(ladder());
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
        codes.add(ladder());
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
                                new LatticeRows(code, betas.best(k), 1)));
            }
        }
        return codes;
    }

    /** The product's code, with its row scale at the Gaussian unit instead of searched for. */
    static StudyCode ladder() {
        VoronoiCode code = PackedMatrixEncoder.CODE;
        Ladder ladder = PackedMatrix.LADDER;
        return new StudyCode(
                "integer ladder",
                code.name() + " ladder",
                ladder.size(),
                GossetLattice.DIMENSION,
                new LatticeRows(code, ladder.betas(), ladder.unit()));
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
