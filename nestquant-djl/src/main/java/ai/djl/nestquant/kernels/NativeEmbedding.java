package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.rotation.Rotation;
import java.lang.ref.Reference;
import java.nio.FloatBuffer;

/** An {@link EmbeddingKernel} in C++; see layer.h. */
final class NativeEmbedding implements EmbeddingKernel {
    private final NativeKernels kernels;
    private final CodedMatrix matrix;
    private final int hidden;
    private final NativeHandle handle;

    NativeEmbedding(NativeKernels kernels, CodedMatrix matrix, Rotation rotation) {
        Checks.rotation(rotation, matrix);
        this.kernels = kernels;
        this.matrix = matrix;
        hidden = rotation.length();
        NativeMatrix w = NativeMatrix.of(matrix);
        long made =
                make(
                        w.code(),
                        w.rows(),
                        w.columns(),
                        w.words(),
                        w.betas(),
                        w.scales(),
                        w.tensorScale(),
                        NativeLayer.plan(rotation),
                        NativeLayer.arrays(rotation));
        if (made == 0) {
            throw new OutOfMemoryError("no native memory for an embedding's rotation");
        }
        handle = new NativeHandle(this, made, NativeEmbedding::free, "this embedding is closed");
    }

    @Override
    public void embed(long[] ids, FloatBuffer out) {
        for (long id : ids) {
            if (id < 0 || id >= matrix.rows()) {
                throw new IllegalArgumentException(
                        "row " + id + " is not in a vocabulary of " + matrix.rows());
            }
        }
        Checks.buffer("out", out, (long) ids.length * hidden);
        try {
            embed(kernels.handle(), handle.address(), ids, out.slice());
        } finally {
            Reference.reachabilityFence(kernels);
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void close() {
        handle.close();
    }

    private static native long make(
            int code,
            int rows,
            int columns,
            long words,
            long betas,
            long scales,
            float tensorScale,
            int[] rotation,
            float[][] arrays);

    private static native void free(long embedding);

    private static native void embed(long context, long embedding, long[] ids, FloatBuffer out);
}
