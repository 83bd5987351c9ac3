package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.rotation.Rotation;
import java.nio.FloatBuffer;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class FloatRowsTest {
    @Test
    public void piecesShareTheArraysMemory() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray array = manager.arange(0f, 100f * 24, 1f).reshape(100, 24);
            FloatRows rows = new FloatRows(array, 24 * 4 * 40);
            List<FloatBuffer> pieces = rows.pieces();
            Assert.assertEquals(pieces.size(), 4); // of 32 rows: whole tiles
            Assert.assertEquals(pieces.get(3).remaining(), 4 * 24);
            Assert.assertEquals(pieces.get(2).get(5), 64f * 24 + 5);
            float[] part = new float[7];
            rows.get(99, 17, part);
            Assert.assertEquals(part[6], 100f * 24 - 1);
            float[] tile = new float[16 * 24];
            rows.get(80, 0, tile);
            Assert.assertEquals(tile[16 * 24 - 1], 96f * 24 - 1);
            pieces.get(1).put(0, -1f);
            Assert.assertEquals(array.getFloat(32, 0), -1f);
            Assert.assertEquals(new FloatRows(array).bytes().size(), 1);
            Assert.assertEquals(
                    new FloatRows(manager.zeros(new Shape(7))).pieces().get(0).capacity(), 7);
        }
    }

    /** Qwen2.5-7B's head: its memory is never touched but for a row. */
    @Test
    public void headsBeyondTwoGigabytesAreRead() {
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            int rows = 152_064;
            int columns = 3584;
            NDArray array = manager.create(new Shape(rows, columns), DataType.FLOAT32);
            List<FloatBuffer> pieces = new FloatRows(array).pieces();
            Assert.assertEquals(pieces.size(), 2);
            Assert.assertEquals(
                    (long) pieces.get(0).capacity() + pieces.get(1).capacity(),
                    (long) rows * columns);
            FloatBuffer last = pieces.get(1);
            for (int i = 0; i < columns; i++) {
                last.put(last.capacity() - columns + i, i);
            }
            float[] row = new float[columns];
            new FloatRows(array).get(rows - 1, 0, row);
            Assert.assertEquals(row[columns - 1], (float) columns - 1);
            RotatedRows rotated = new RotatedRows(array, Rotation.none(columns));
            Assert.assertEquals(rotated.rows(), rows);
        }
    }
}
