package ai.djl.nestquant.kernels;

import ai.djl.nestquant.rotation.Rotation;
import java.lang.ref.Reference;
import java.nio.FloatBuffer;

/** A {@link HeadKernel} in C++; see layer.h. */
final class NativeHead implements HeadKernel {
    private final NativeKernels kernels;
    private final HeadSpec spec;
    private final NativeHandle handle;

    NativeHead(NativeKernels kernels, HeadSpec spec) {
        Rotation rotation = spec.rotation();
        Checks.buffer("norm", spec.norm(), rotation.length());
        Checks.rotation(rotation, spec.weight());
        this.kernels = kernels;
        this.spec = spec;
        NativeMatrix w = NativeMatrix.of(spec.weight());
        long made =
                make(
                        spec.activationBits(),
                        spec.norm().slice(),
                        spec.epsilon(),
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
            throw new OutOfMemoryError("no native memory for an output head's rotation");
        }
        handle = new NativeHandle(this, made, NativeHead::free, "this head is closed");
    }

    @Override
    public void run(FloatBuffer h, FloatBuffer logits) {
        long head = open(h, 1, logits);
        try {
            if (!run(kernels.handle(), head, h.slice(), logits.slice())) {
                throw notNumbers();
            }
        } finally {
            Reference.reachabilityFence(kernels);
            Reference.reachabilityFence(this);
        }
    }

    /** Checks what C++ is to reach and returns what it knows this head by. */
    long open(FloatBuffer h, int tokens, FloatBuffer logits) {
        Checks.buffer("h", h, (long) tokens * spec.rotation().length());
        Checks.buffer("logits", logits, spec.weight().rows());
        return handle.address();
    }

    static IllegalArgumentException notNumbers() {
        return new IllegalArgumentException(
                "the output head's inputs are not numbers any more: the weights of a layer or of"
                        + " the final norm, or the model's inputs are damaged");
    }

    @Override
    public void close() {
        handle.close();
    }

    private static native long make(
            int activationBits,
            FloatBuffer norm,
            float epsilon,
            int code,
            int rows,
            int columns,
            long words,
            long betas,
            long scales,
            float tensorScale,
            int[] rotation,
            float[][] arrays);

    private static native void free(long head);

    private static native boolean run(long context, long head, FloatBuffer h, FloatBuffer logits);
}
