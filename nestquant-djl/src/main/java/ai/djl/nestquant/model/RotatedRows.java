package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.codec.PackedMatrixEncoder;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.FloatBuffer;
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
        this(
                Math.toIntExact(weight.getShape().get(0)),
                rotation,
                weight.toByteBuffer(true).asFloatBuffer());
    }

    private RotatedRows(int rows, Rotation rotation, FloatBuffer weight) {
        this(rows, rotation, (first, out) -> weight.get(first * rotation.length(), out));
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
        Parallel.forEach(tiles(), tile -> consumer.accept(rotated(tile), tile));
    }

    private float[] rotated(int tile) {
        int first = tile * PackedMatrix.TILE_ROWS;
        int count = Math.min(PackedMatrix.TILE_ROWS, rows - first);
        float[] tileRows = new float[count * columns];
        source.read(first, tileRows);
        // afterwards the whole row would be NaN
        for (int i = 0; i < tileRows.length; i++) {
            if (!Float.isFinite(tileRows[i])) {
                throw new IllegalArgumentException(
                        String.format(
                                "column %d of row %d is %s",
                                i % columns, first + i / columns, tileRows[i]));
            }
        }
        return rotation.padAndApply(tileRows, count);
    }

    /** Returns the largest norm of 8 neighbouring entries of all rotated rows. */
    float largestBlockNorm() {
        float[] norms = new float[tiles()];
        forEachTile((tileRows, tile) -> norms[tile] = largestBlockNorm(tileRows, paddedColumns()));
        float largest = 0;
        for (float norm : norms) {
            largest = Math.max(largest, norm);
        }
        return largest;
    }

    private static float largestBlockNorm(float[] rows, int columns) {
        float largest = 0;
        for (int start = 0; start < rows.length; start += columns) {
            largest = Math.max(largest, PackedMatrixEncoder.largestBlockNorm(rows, start, columns));
        }
        return largest;
    }
}
