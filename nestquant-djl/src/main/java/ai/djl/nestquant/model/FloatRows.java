package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * The floats of an array in the host engine's memory, which may be more than the 2 GiB of one
 * buffer: the heads of models with large vocabularies are.
 *
 * <p>Shares the array's memory and must not be used after it is closed. Thread-safe for reading.
 */
final class FloatRows {

    private final List<ByteBuffer> bytes = new ArrayList<>();
    private final List<FloatBuffer> pieces;
    private final int columns;
    private final int pieceRows;

    /**
     * Looks at an array.
     *
     * @param array float32 {@code [rows][columns]}, or {@code [rows]}
     */
    FloatRows(NDArray array) {
        this(array, Integer.MAX_VALUE);
    }

    /** Looks at an array in pieces of at most so many bytes. */
    FloatRows(NDArray array, int pieceBytes) {
        long rows = array.getShape().get(0);
        columns = Math.toIntExact(array.size() / rows);
        long most = pieceBytes / ((long) Float.BYTES * columns);
        // whole tiles, which are read at once
        pieceRows = (int) Math.min(rows, most / PackedMatrix.TILE_ROWS * PackedMatrix.TILE_ROWS);
        for (long from = 0; from < rows; from += pieceRows) {
            bytes.add(bytes(array, from, Math.min(rows, from + pieceRows)));
        }
        pieces = bytes.stream().map(ByteBuffer::asFloatBuffer).toList();
    }

    private static ByteBuffer bytes(NDArray array, long from, long to) {
        if (from == 0 && to == array.getShape().get(0)) {
            return array.toByteBuffer(true);
        }
        // a view, whose memory is that of the array
        try (NDArray rows = array.get(new NDIndex("{}:{}", from, to))) {
            return rows.toByteBuffer(true);
        }
    }

    /** Returns all entries, in order, in as few buffers as they fit in. */
    List<FloatBuffer> pieces() {
        return pieces;
    }

    /** Returns the entries' bytes, as {@link #pieces}. */
    List<ByteBuffer> bytes() {
        return bytes;
    }

    /**
     * Reads entries of a row, or of a tile of 16 rows from column 0 on.
     *
     * @param row the row; of several, the first of a tile
     * @param column the first entry
     * @param out receives them
     */
    void get(int row, int column, float[] out) {
        pieces.get(row / pieceRows).get(row % pieceRows * columns + column, out);
    }
}
