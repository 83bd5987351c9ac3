package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;
import java.nio.FloatBuffer;
import java.util.Random;

/** The matrices that kernels multiply by, as the contract sees them. */
interface TestMatrix {
    /** Returns the number of rows. */
    int rows();

    /** Returns the number of columns. */
    int columns();

    /** Decodes a row with the scalar decoder. */
    void decodeRow(int row, byte[] out);

    /** Returns a row's scale. */
    float rowScale(int row);

    /** Calls the kernels under test. */
    void multiply(Kernels kernels, Int8Rows x, float[] y);

    /** Calls the kernels under test. */
    void decodeRows(Kernels kernels, int from, int to, FloatBuffer panel);

    /** Returns a matrix of random codes, int8 where the code is null. */
    static TestMatrix of(PackedCode code, int rows, int columns, Random random) {
        return code == null
                ? of(int8(rows, columns, random))
                : of(RandomMatrix.of(code, rows, columns, random));
    }

    private static Int8Matrix int8(int rows, int columns, Random random) {
        Int8Matrix w = Int8Matrix.allocate(rows, columns);
        float[] row = new float[columns];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                row[c] = (float) random.nextGaussian() * (r + 1);
            }
            w.encodeRow(r, row, 0);
        }
        return w;
    }

    /** Looks at a packed matrix. */
    static TestMatrix of(PackedMatrix w) {
        return new TestMatrix() {
            @Override
            public int rows() {
                return w.rows();
            }

            @Override
            public int columns() {
                return w.columns();
            }

            @Override
            public void decodeRow(int row, byte[] out) {
                w.decodeRow(row, out);
            }

            @Override
            public float rowScale(int row) {
                return w.rowScale(row);
            }

            @Override
            public void multiply(Kernels kernels, Int8Rows x, float[] y) {
                kernels.multiply(w, x, y);
            }

            @Override
            public void decodeRows(Kernels kernels, int from, int to, FloatBuffer panel) {
                kernels.decodeRows(w, from, to, panel);
            }

            @Override
            public String toString() {
                return w.toString();
            }
        };
    }

    /** Looks at an int8 matrix. */
    static TestMatrix of(Int8Matrix w) {
        return new TestMatrix() {
            @Override
            public int rows() {
                return w.rows();
            }

            @Override
            public int columns() {
                return w.columns();
            }

            @Override
            public void decodeRow(int row, byte[] out) {
                w.decodeRow(row, out);
            }

            @Override
            public float rowScale(int row) {
                return w.rowScale(row);
            }

            @Override
            public void multiply(Kernels kernels, Int8Rows x, float[] y) {
                kernels.multiply(w, x, y);
            }

            @Override
            public void decodeRows(Kernels kernels, int from, int to, FloatBuffer panel) {
                kernels.decodeRows(w, from, to, panel);
            }

            @Override
            public String toString() {
                return w.toString();
            }
        };
    }
}
