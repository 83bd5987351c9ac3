package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;

/**
 * Rows in a lattice code: fine lattice E8 × coarse lattice × beta set, with one scale per row.
 *
 * <p>Immutable and thread-safe.
 */
public final class LatticeQuantizer implements RowQuantizer {
    private final VoronoiCode code;
    private final BetaSet betas;
    private final BetaPolicy policy;
    private final int rowScaleBits;

    private LatticeQuantizer(VoronoiCode code, BetaSet betas, BetaPolicy policy, int scaleBits) {
        this.code = code;
        this.betas = betas;
        this.policy = policy;
        this.rowScaleBits = scaleBits;
    }

    /**
     * Makes the paper's quantiser: rows are divided by their root mean square, stored as a float.
     *
     * @param code the cosets of E8 that can be stored
     * @param betas the scales that can be stored
     * @param policy how a block picks its scale
     * @return the quantiser
     */
    public static LatticeQuantizer normalized(VoronoiCode code, BetaSet betas, BetaPolicy policy) {
        return new LatticeQuantizer(code, betas, policy, Float.SIZE);
    }

    /**
     * Makes the product's quantiser: the best row scale of a grid, stored as an exponent of 8 bits.
     *
     * @param code the cosets of E8 that can be stored
     * @param betas the scales that can be stored
     * @return the quantiser
     */
    public static LatticeQuantizer searched(VoronoiCode code, BetaSet betas) {
        return new LatticeQuantizer(code, betas, BetaPolicy.INNER_FIT, Byte.SIZE);
    }

    @Override
    public String name() {
        return code.name() + " k=" + betas.size();
    }

    @Override
    public double bitsPerEntry(int columns) {
        return code.bitsPerEntry() + betas.indexBitsPerEntry() + (double) rowScaleBits / columns;
    }

    @Override
    public int quantize(float[] row, int offset, int columns, float[] decoded) {
        RowChecks.wholeBlocks(columns);
        return rowScaleBits == Byte.SIZE
                ? quantizeSearched(row, offset, columns, decoded)
                : quantizeNormalized(row, offset, columns, decoded);
    }

    /** The row's scale is the one that suits its root mean square. */
    @Override
    public RowPieces pieces(float[] row, int offset, int columns, float factor) {
        double norm = RowChecks.squaredNorm(row, offset, columns);
        float scale = norm == 0 ? 1 : (float) (factor * betas.unit() * Math.sqrt(norm / columns));
        BlockEncoder encoder = new BlockEncoder(code, betas, policy);
        encoder.setRowScale(scale);
        return new RowPieces() {
            @Override
            public int width() {
                return PackedMatrix.BLOCK;
            }

            @Override
            public void quantize(float[] x, int at, float[] decoded) {
                encoder.encode(x, at);
                put(encoder.point(), encoder.betaIndex(), scale, decoded, 0);
            }
        };
    }

    private int quantizeNormalized(float[] row, int offset, int columns, float[] decoded) {
        double norm = RowChecks.squaredNorm(row, offset, columns);
        BlockEncoder encoder = new BlockEncoder(code, betas, policy);
        float scale = norm == 0 ? 1 : (float) (betas.unit() * Math.sqrt(norm / columns));
        encoder.setRowScale(scale);
        int overloads = 0;
        for (int start = offset; start < offset + columns; start += PackedMatrix.BLOCK) {
            encoder.encode(row, start);
            overloads += encoder.overloaded() ? 1 : 0;
            put(encoder.point(), encoder.betaIndex(), scale, decoded, start);
        }
        return overloads;
    }

    private int quantizeSearched(float[] row, int offset, int columns, float[] decoded) {
        float norm = RowEncoder.largestBlockNorm(row, offset, columns);
        float tensorScale = RowEncoder.tensorScale(code, betas, norm);
        DistortionStats stats = new DistortionStats();
        float[] units = new float[columns];
        int exponent =
                new RowEncoder(code, betas, tensorScale, RowEncoder.SCALE_WINDOW)
                        .encode(
                                row,
                                offset,
                                columns,
                                (block, point, index) ->
                                        put(point, index, 1, units, block * PackedMatrix.BLOCK),
                                stats);
        float scale = PackedMatrix.rowScale(tensorScale, exponent);
        for (int i = 0; i < columns; i++) {
            decoded[offset + i] = scale * units[i];
        }
        return (int) stats.overloadedBlocks();
    }

    private void put(int[] point, int betaIndex, float scale, float[] decoded, int start) {
        float halfStep = (float) (0.5 * betas.beta(betaIndex) * scale);
        for (int i = 0; i < PackedMatrix.BLOCK; i++) {
            decoded[start + i] = halfStep * point[i];
        }
    }
}
