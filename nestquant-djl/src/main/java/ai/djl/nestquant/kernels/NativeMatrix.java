package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.Int8Matrix;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.codec.PackedMatrix;

/**
 * A matrix as C++ sees it.
 *
 * @param owner the matrix; addresses hold while it can be reached
 * @param code the ordinal of its PackedCode, the next for int8; see common.h
 * @param rows number of rows
 * @param columns number of columns
 * @param words address of the words
 * @param betas address of the ladder indices, 0 for int8
 * @param scales address of the row scales
 * @param tensorScale what lattice codes multiply row scales by
 */
record NativeMatrix(
        CodedMatrix owner,
        int code,
        int rows,
        int columns,
        long words,
        long betas,
        long scales,
        float tensorScale) {

    static NativeMatrix of(CodedMatrix matrix) {
        if (matrix instanceof PackedMatrix w) {
            return new NativeMatrix(
                    w,
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
        return new NativeMatrix(w, code, w.rows(), w.columns(), words, 0, scales, 1);
    }
}
