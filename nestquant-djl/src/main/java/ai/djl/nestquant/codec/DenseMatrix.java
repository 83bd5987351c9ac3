package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.VoronoiCode;

/**
 * A matrix in any Voronoi code with hardly a bit wasted, for storage: the codes of 16 rows are one
 * number ({@link RadixCodes}), the scale indices are entropy coded, and rows have exponents as in
 * {@link PackedMatrix}. Row scales follow the root mean square: a search would even out the use of
 * the scales, and what it gains in distortion entropy coding loses in bits.
 *
 * <p>Immutable and thread-safe.
 */
public final class DenseMatrix {
    private static final int TILE_ROWS = PackedMatrix.TILE_ROWS;
    private static final int BLOCK = PackedMatrix.BLOCK;

    private final VoronoiCode code;
    private final BetaSet betas;
    private final int columns;
    private final float tensorScale;
    private final byte[] rowScales; // [rows], unsigned e
    private final byte[] betaIndices; // of [rows][blocks]
    private final byte[][] tiles; // codes of [16][blocks] each, fewer rows in the last

    /**
     * Encodes a matrix.
     *
     * @param entries [rows][columns], finite, rotated and padded
     * @param rows number of rows
     * @param columns number of columns, a multiple of 8
     * @param code the cosets of E8 that can be stored
     * @param betas the scales that can be stored, at most 256
     * @param stats receives the distortion
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    public DenseMatrix(
            float[] entries,
            int rows,
            int columns,
            VoronoiCode code,
            BetaSet betas,
            DistortionStats stats) {
        float largest = 0;
        for (int row = 0; row < rows; row++) {
            float norm = RowEncoder.largestBlockNorm(entries, row * columns, columns);
            largest = Math.max(largest, norm);
        }
        this.code = code;
        this.betas = betas;
        this.columns = columns;
        this.tensorScale = RowEncoder.tensorScale(code, betas, largest);
        this.rowScales = new byte[rows];
        this.tiles = new byte[(rows + TILE_ROWS - 1) / TILE_ROWS][];
        int[] indices = new int[rows * columns / BLOCK];
        for (int tile = 0; tile < tiles.length; tile++) {
            tiles[tile] = encodeTile(tile, entries, indices, stats);
        }
        this.betaIndices = IndexCodes.encode(indices, betas.size());
    }

    private byte[] encodeTile(int tile, float[] entries, int[] indices, DistortionStats stats) {
        RowEncoder encoder = new RowEncoder(code, betas, tensorScale, 0);
        int[] points = new int[rowsOf(tile) * columns];
        for (int i = 0; i < rowsOf(tile); i++) {
            int row = tile * TILE_ROWS + i;
            int start = i * columns;
            int exponent =
                    encoder.encode(
                            entries,
                            row * columns,
                            columns,
                            (block, point, index) -> {
                                System.arraycopy(point, 0, points, start + block * BLOCK, BLOCK);
                                indices[row * columns / BLOCK + block] = index;
                            },
                            stats);
            rowScales[row] = (byte) exponent;
        }
        return new RadixCodes(code).pack(points);
    }

    /**
     * Decodes the matrix.
     *
     * @return [rows][columns]
     */
    public float[] decode() {
        RadixCodes radix = new RadixCodes(code);
        int[] indices =
                IndexCodes.decode(betaIndices, rowScales.length * columns / BLOCK, betas.size());
        float[] decoded = new float[rowScales.length * columns];
        for (int tile = 0; tile < tiles.length; tile++) {
            int first = tile * TILE_ROWS * columns;
            int[] points = radix.unpack(tiles[tile], rowsOf(tile) * columns / BLOCK);
            for (int i = 0; i < points.length; i++) {
                int entry = first + i;
                int exponent = rowScales[entry / columns] & 255;
                float scale = PackedMatrix.rowScale(tensorScale, exponent);
                double beta = betas.beta(indices[entry / BLOCK]);
                decoded[entry] = (float) (0.5 * beta * scale * points[i]);
            }
        }
        return decoded;
    }

    /** Returns the bytes of the codes. */
    public long codeBytes() {
        long sum = 0;
        for (byte[] tile : tiles) {
            sum += tile.length;
        }
        return sum;
    }

    /** Returns the bytes of the entropy-coded scale indices. */
    public long betaIndexBytes() {
        return betaIndices.length;
    }

    /** Returns all bytes: codes, scale indices, row exponents and the tensor scale. */
    public long sizeInBytes() {
        return codeBytes() + betaIndexBytes() + rowScales.length + Float.BYTES;
    }

    /** Returns stored bits per entry, everything included. */
    public double bitsPerEntry() {
        return 8.0 * sizeInBytes() / ((double) rowScales.length * columns);
    }

    private int rowsOf(int tile) {
        return Math.min(TILE_ROWS, rowScales.length - tile * TILE_ROWS);
    }
}
