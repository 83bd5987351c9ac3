package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nestquant.calibration.BlockCode;
import ai.djl.nestquant.calibration.InputFactors;
import ai.djl.nestquant.codec.AbsmaxQuantizer;
import ai.djl.nestquant.codec.BetaPolicy;
import ai.djl.nestquant.codec.BetaSet;
import ai.djl.nestquant.codec.ClippedQuantizer;
import ai.djl.nestquant.codec.DistortionStats;
import ai.djl.nestquant.codec.GaussianBetas;
import ai.djl.nestquant.codec.LatticeQuantizer;
import ai.djl.nestquant.codec.MxFp4Quantizer;
import ai.djl.nestquant.codec.NvFp4Quantizer;
import ai.djl.nestquant.codec.Q4ZeroQuantizer;
import ai.djl.nestquant.codec.RowPieces;
import ai.djl.nestquant.codec.RowQuantizer;
import ai.djl.nestquant.lattice.CoarseLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * A code that stands in for the product's in comparisons: rows become what they would be decoded to
 * and stay floats.
 *
 * <p>Rows are padded with zeros to whole groups of the code while it works on them. Immutable and
 * safe for concurrent use.
 */
final class SimulatedCode {

    /** A multiple of every code's block or group. */
    private static final int GROUP = 32;

    /** Rows that a thread rounds together. */
    private static final int CHUNK = 16;

    /** What row scales are multiplied by under feedback, which widens what is to be rounded. */
    private static final float[] ROW_SCALES = {0.94f, 1, 1.06f, 1.12f, 1.19f};

    private final QuantizationConfig.Code code;
    private final int scales;

    private SimulatedCode(QuantizationConfig.Code code, int scales) {
        this.code = code;
        this.scales = scales;
    }

    /** Returns the simulation of a configuration's code, or null where it is not simulated. */
    static SimulatedCode of(QuantizationConfig config) {
        return config.code().simulated() ? new SimulatedCode(config.code(), config.scales()) : null;
    }

    /**
     * Returns the bits per entry that rows of a length would take, scales included.
     *
     * @param columns entries of a row
     */
    double bitsPerEntry(int columns) {
        int padded = padded(columns);
        return quantizer(1).bitsPerEntry(padded) * padded / columns;
    }

    /**
     * Codes and decodes rows in place; all of them are one tensor where the code has a tensor's
     * scale.
     *
     * @param rows {@code [count][columns]}, rotated where {@link QuantizationConfig#rotates} says
     *     so
     * @param count the number of rows, positive
     * @return how far the rows have moved
     */
    DistortionStats apply(float[] rows, int count) {
        RowQuantizer quantizer = quantizerOf(rows);
        DistortionStats stats = new DistortionStats();
        int columns = rows.length / count;
        IntStream.range(0, count)
                .parallel()
                .forEach(row -> apply(quantizer, rows, row * columns, columns, stats));
        return stats;
    }

    private RowQuantizer quantizerOf(float[] rows) {
        float largest = 0;
        if (code.base() == QuantizationConfig.Code.NVFP4) {
            for (float x : rows) {
                largest = Math.max(largest, Math.abs(x));
            }
        }
        return quantizer(largest);
    }

    /** Returns the entries that are coded together under feedback. */
    int pieceWidth() {
        return quantizer(1).pieces(new float[GROUP], 0, GROUP, 1).width();
    }

    /**
     * Codes and decodes rows in place with feedback; a row's scale is the one of several that loses
     * least, a group's scale is found when the feedback has reached it.
     *
     * @param rows {@code [count][columns]}, rotated where {@link QuantizationConfig#rotates} says
     *     so
     * @param count the number of rows, positive
     * @param factors of the inputs, padded to whole groups
     * @return how far the rows have moved
     */
    DistortionStats applyWithFeedback(float[] rows, int count, InputFactors factors) {
        RowQuantizer quantizer = quantizerOf(rows);
        int columns = rows.length / count;
        int padded = padded(columns);
        float[] factor = pieceWidth() == 8 ? ROW_SCALES : new float[] {1};
        DistortionStats stats = new DistortionStats();
        double[] errors = new double[count];
        double[] norms = new double[count];
        int chunks = (count + CHUNK - 1) / CHUNK;
        Parallel.forEach(
                chunks,
                chunk -> {
                    int first = chunk * CHUNK;
                    int size = Math.min(CHUNK, count - first);
                    float[] exact =
                            Arrays.copyOfRange(rows, first * columns, (first + size) * columns);
                    float[] decoded =
                            withFeedback(
                                    quantizer, pad(exact, size, padded), size, factors, factor);
                    for (int row = 0; row < size; row++) {
                        for (int i = 0; i < columns; i++) {
                            float before = exact[row * columns + i];
                            float after = decoded[row * padded + i];
                            rows[(first + row) * columns + i] = after;
                            errors[first + row] += (double) (after - before) * (after - before);
                            norms[first + row] += (double) before * before;
                        }
                    }
                });
        for (int row = 0; row < count; row++) {
            stats.addRow(errors[row], norms[row], padded / Byte.SIZE, 0);
        }
        return stats;
    }

    /** Rounds every row with every factor and returns the best of each. */
    private static float[] withFeedback(
            RowQuantizer quantizer, float[] rows, int count, InputFactors factors, float[] factor) {
        factors.toTargets(rows, count);
        int n = rows.length / count;
        int choices = factor.length;
        RowPieces[] pieces = new RowPieces[count * choices];
        for (int copy = 0; copy < pieces.length; copy++) {
            int row = copy / choices;
            pieces[copy] = quantizer.pieces(rows, row * n, n, factor[copy % choices]);
        }
        float[] decoded = new float[rows.length * choices];
        double[] losses =
                factors.ldlq().round(rows, pieces.length, choices, blockCode(pieces), decoded);
        for (int row = 0; row < count; row++) {
            int least = row * choices;
            for (int copy = least; copy < (row + 1) * choices; copy++) {
                least = losses[copy] < losses[least] ? copy : least;
            }
            System.arraycopy(decoded, least * n, rows, row * n, n);
        }
        return rows;
    }

    private static BlockCode blockCode(RowPieces[] pieces) {
        return new BlockCode() {
            @Override
            public int width() {
                return pieces[0].width();
            }

            @Override
            public void round(int row, int column, float[] target, int offset, float[] decoded) {
                pieces[row].quantize(target, offset, decoded);
            }
        };
    }

    /** Returns rows of a length padded with zeros to a longer one, or the rows themselves. */
    static float[] pad(float[] rows, int count, int padded) {
        int columns = rows.length / count;
        if (columns == padded) {
            return rows.clone();
        }
        float[] wide = new float[count * padded];
        for (int row = 0; row < count; row++) {
            System.arraycopy(rows, row * columns, wide, row * padded, columns);
        }
        return wide;
    }

    private static void apply(
            RowQuantizer quantizer, float[] rows, int start, int columns, DistortionStats stats) {
        float[] decoded = Arrays.copyOfRange(rows, start, start + columns);
        float[] padded = Arrays.copyOf(decoded, padded(columns));
        int overloads = quantizer.quantize(padded, 0, padded.length, padded);
        double error = 0;
        double norm = 0;
        for (int i = 0; i < columns; i++) {
            double difference = (double) padded[i] - decoded[i];
            error += difference * difference;
            norm += (double) decoded[i] * decoded[i];
        }
        System.arraycopy(padded, 0, rows, start, columns);
        synchronized (stats) {
            stats.addRow(error, norm, padded.length / Byte.SIZE, overloads);
        }
    }

    /** Codes and decodes the vectors along an array's last axis. */
    NDArray apply(NDArray vectors) {
        float[] rows = vectors.toFloatArray();
        apply(rows, Math.toIntExact(vectors.size() / vectors.getShape().getLastDimension()));
        return vectors.getManager().create(rows, vectors.getShape());
    }

    static int padded(int columns) {
        return (columns + GROUP - 1) / GROUP * GROUP;
    }

    private RowQuantizer quantizer(float largest) {
        switch (code.base()) {
            case INT4:
                return new ClippedQuantizer(4);
            case RTN:
                return new AbsmaxQuantizer(4, 0);
            case Q4_0:
                return new Q4ZeroQuantizer();
            case MXFP4:
                return new MxFp4Quantizer();
            case NVFP4:
                return new NvFp4Quantizer(largest == 0 ? 1 : largest);
            case NESTQUANT:
                return lattice(CoarseLattice.GOSSET, 14, GaussianBetas.E8_14_K4);
            case NESTQUANTM:
                return lattice(CoarseLattice.GOSSET_FIXED, 16, GaussianBetas.E8_FIXED_16_K4);
            default:
                throw new IllegalArgumentException(code + " is not simulated");
        }
    }

    private RowQuantizer lattice(CoarseLattice coarse, int ratio, BetaSet usual) {
        VoronoiCode lattice = new VoronoiCode(coarse, ratio);
        BetaSet betas = scales == 0 ? usual : GaussianBetas.search(lattice, scales);
        return LatticeQuantizer.normalized(lattice, betas, BetaPolicy.BEST_FIT);
    }
}
