package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.rotation.Rotation;
import java.util.function.ObjIntConsumer;

/**
 * Rows of a float weight, rotated tile by tile so that no rotated copy of all is needed.
 *
 * <p>Safe for concurrent use as long as the weight, or what rows are read from, lives.
 */
final class RotatedRows {

    /** Where rows come from; read by several threads at once. */
    interface Source {

        /**
         * Reads whole rows.
         *
         * @param firstRow the first one
         * @param out receives as many as fit
         */
        void read(int firstRow, float[] out);
    }

    /** Entries of blocks with a smaller norm are within what encoders take. */
    private static final float SURELY_CODED = 1e15f;

    private final Source source;
    private final int rows;
    private final int columns;
    private final Rotation rotation;

    /**
     * Looks at a weight.
     *
     * @param weight float32 {@code [rows][columns]}
     * @param rotation of rows of so many columns
     */
    RotatedRows(NDArray weight, Rotation rotation) {
        this(Math.toIntExact(weight.getShape().get(0)), rotation, new FloatRows(weight));
    }

    private RotatedRows(int rows, Rotation rotation, FloatRows weight) {
        this(rows, rotation, (first, out) -> weight.get(first, 0, out));
    }

    /**
     * Looks at rows that are read when they are needed.
     *
     * @param rows their number
     * @param rotation of each
     * @param source reads them
     */
    RotatedRows(int rows, Rotation rotation, Source source) {
        this.rows = rows;
        this.rotation = rotation;
        this.source = source;
        columns = rotation.length();
    }

    /** Returns the entries of a row as it was. */
    int columns() {
        return columns;
    }

    /** Returns the number of rows. */
    int rows() {
        return rows;
    }

    /** Returns what each row goes through. */
    Rotation rotation() {
        return rotation;
    }

    /** Returns the entries of a rotated row. */
    int paddedColumns() {
        return rotation.paddedLength();
    }

    private int tiles() {
        return (rows + PackedMatrix.TILE_ROWS - 1) / PackedMatrix.TILE_ROWS;
    }

    /**
     * Rotates all tiles and hands each on, on several threads.
     *
     * @param consumer takes {@code [up to 16][paddedColumns]} and the tile's number
     * @throws IllegalArgumentException if an entry is NaN or infinite, naming its position
     */
    void forEachTile(ObjIntConsumer<float[]> consumer) {
        Parallel.forEach(tiles(), tile -> consumer.accept(rotated(tile).rows, tile));
    }

    /**
     * Some rotated rows.
     *
     * @param rows {@code [up to 16][paddedColumns]}
     * @param largestBlockNorm the largest norm of 8 neighbouring entries
     */
    private record Tile(float[] rows, float largestBlockNorm) {}

    private Tile rotated(int tile) {
        int first = tile * PackedMatrix.TILE_ROWS;
        int count = Math.min(PackedMatrix.TILE_ROWS, rows - first);
        float[] tileRows = read(first, count);
        float largest = Kernels.best().rotateRows(rotation, tileRows, count);
        if (!Float.isFinite(largest)) {
            checkFinite(first, read(first, count));
        }
        return new Tile(tileRows, largest);
    }

    /** Reads rows and pads them, {@code [count][paddedColumns]}. */
    private float[] read(int first, int count) {
        float[] tileRows = new float[count * columns];
        source.read(first, tileRows);
        if (columns == paddedColumns()) {
            return tileRows;
        }
        float[] padded = new float[count * paddedColumns()];
        for (int row = 0; row < count; row++) {
            System.arraycopy(tileRows, row * columns, padded, row * paddedColumns(), columns);
        }
        return padded;
    }

    private void checkFinite(int first, float[] tileRows) {
        for (int i = 0; i < tileRows.length; i++) {
            if (!Float.isFinite(tileRows[i])) {
                throw new IllegalArgumentException(
                        String.format(
                                "column %d of row %d is %s",
                                i % paddedColumns(), first + i / paddedColumns(), tileRows[i]));
            }
        }
    }

    /**
     * Returns the largest norm of 8 neighbouring entries of all rotated rows.
     *
     * @throws IllegalArgumentException if an entry is NaN or infinite, or too large to be coded
     */
    float largestBlockNorm() {
        float[] norms = new float[tiles()];
        Parallel.forEach(
                tiles(),
                index -> {
                    Tile tile = rotated(index);
                    norms[index] = tile.largestBlockNorm;
                    if (!(norms[index] < SURELY_CODED)) {
                        checkCoded(tile.rows);
                    }
                });
        float largest = 0;
        for (float norm : norms) {
            largest = Math.max(largest, norm);
        }
        return largest;
    }

    private void checkCoded(float[] tileRows) {
        for (int start = 0; start < tileRows.length; start += paddedColumns()) {
            PackedMatrixEncoder.largestBlockNorm(tileRows, start, paddedColumns());
        }
    }
}
