package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;

/**
 * A matrix as C++ sees it: addresses, which hold while the matrix can be reached.
 *
 * @param code the ordinal of its PackedCode, the next for int8; see common.h
 * @param rows number of rows
 * @param columns number of columns
 * @param words address of the words
 * @param betas address of the ladder indices, 0 for int8
 * @param scales address of the row scales
 * @param tensorScale what lattice codes multiply row scales by
 */
record NativeMatrix(
        int code, int rows, int columns, long words, long betas, long scales, float tensorScale) {

    static NativeMatrix of(CodedMatrix matrix) {
        if (matrix instanceof PackedMatrix w) {
            return new NativeMatrix(
                    w.code().ordinal(),
                    w.rows(),
                    w.columns(),
                    NativeKernels.address(w.words()),
                    NativeKernels.address(w.betas()),
                    NativeKernels.address(w.rowScales()),
                    w.tensorScale());
        }
        Int8Matrix w = (Int8Matrix) matrix;
        long words = NativeKernels.address(w.words());
        long scales = NativeKernels.address(w.rowScales());
        int code = PackedCode.values().length;
        return new NativeMatrix(code, w.rows(), w.columns(), words, 0, scales, 1);
    }

    /**
     * Multiplies, see {@link Kernels#multiply}.
     *
     * @param context address of the kernels
     * @param x the tokens
     * @param y receives the products; null for memory
     * @param memory address that receives them where y is null
     */
    void multiply(long context, Int8Rows x, float[] y, long memory) {
        NativeKernels.multiply(
                context,
                code,
                rows,
                columns,
                words,
                betas,
                scales,
                tensorScale,
                x.rows(),
                x.high(),
                x.low(),
                x.scales(),
                y,
                memory);
    }

    /** Decodes rows to floats at the address of a panel, see {@link Kernels#decodeRows}. */
    void decodeRows(long context, int from, int to, long panel) {
        NativeKernels.decodeRows(
                context, code, rows, columns, words, betas, scales, tensorScale, from, to, panel);
    }
}
