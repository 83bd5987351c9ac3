package ai.djl.nestquant.kernels;

import ai.djl.nestquant.codec.PackedMatrix;
import ai.djl.nestquant.rotation.Rotation;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A {@link LayerKernel} in C++; see layer.h. */
final class NativeLayer implements LayerKernel {
    private final NativeKernels kernels;
    private final LayerSpec spec;
    private final NativeHandle handle;

    NativeLayer(NativeKernels kernels, LayerSpec spec) {
        this.kernels = kernels;
        this.spec = spec;
        long made = make(integers(spec), floats(spec), buffers(spec), rotations(spec));
        if (made == 0) {
            throw new OutOfMemoryError("no native memory for a decoder layer's rotations");
        }
        handle = new NativeHandle(this, made, NativeLayer::free, "this layer is closed");
    }

    private static int[] integers(LayerSpec spec) {
        List<Integer> all = new ArrayList<>();
        LayerSpec.Sizes s = spec.sizes();
        all.addAll(List.of(s.hidden(), s.heads(), s.kvHeads(), s.headSize(), s.inner()));
        all.addAll(List.of(s.window(), s.activationBits(), s.codedCache() ? 1 : 0));
        for (LayerSpec.Linear linear : spec.linears()) {
            PackedMatrix w = linear.weight();
            all.addAll(List.of(w.code().ordinal(), w.rows(), w.columns()));
        }
        for (Rotation r : spec.rotations()) {
            Arrays.stream(plan(r)).forEach(all::add);
        }
        return all.stream().mapToInt(Integer::intValue).toArray();
    }

    /** A rotation's sizes as C++ takes them. */
    static int[] plan(Rotation r) {
        return new int[] {r.length(), r.paddedLength(), r.exponent(), r.order()};
    }

    /** A rotation's signs and dense factor, null for the identity. */
    static float[][] arrays(Rotation r) {
        return new float[][] {r.signs(), r.order() == 1 ? null : r.factor()};
    }

    private static float[] floats(LayerSpec spec) {
        float[] all = new float[1 + spec.linears().size()];
        all[0] = spec.epsilon();
        for (int i = 1; i < all.length; i++) {
            all[i] = spec.linears().get(i - 1).weight().tensorScale();
        }
        return all;
    }

    private static Buffer[] buffers(LayerSpec spec) {
        List<Buffer> all = new ArrayList<>(spec.norms());
        for (LayerSpec.Linear linear : spec.linears()) {
            PackedMatrix w = linear.weight();
            all.add(w.words());
            all.add(w.betas());
            all.add(w.rowScales());
            all.add(linear.bias());
        }
        return all.toArray(new Buffer[0]);
    }

    private static float[][] rotations(LayerSpec spec) {
        return spec.rotations().stream()
                .flatMap(r -> Arrays.stream(arrays(r)))
                .toArray(float[][]::new);
    }

    @Override
    public void run(Tokens pass, Cache cache) {
        run(kernels, List.of(this), pass, List.of(cache), null, null);
    }

    /** Runs tokens through layers in turn, and then a head if there is one, see {@link Kernels}. */
    static void run(
            NativeKernels kernels,
            List<LayerKernel> layers,
            Tokens pass,
            List<Cache> caches,
            NativeHead head,
            FloatBuffer logits) {
        long[] handles = new long[layers.size()];
        Buffer[][] slots = new Buffer[handles.length][];
        int[] capacities = new int[handles.length];
        for (int i = 0; i < handles.length; i++) {
            NativeLayer layer = (NativeLayer) layers.get(i);
            layer.check(pass, caches.get(i));
            handles[i] = layer.handle.address();
            slots[i] = caches.get(i).slots();
            capacities[i] = caches.get(i).capacity();
        }
        try {
            int failure =
                    run(
                            kernels.handle(),
                            handles,
                            pass.h().slice(),
                            pass.count(),
                            pass.past(),
                            pass.cos().slice(),
                            pass.sin().slice(),
                            slots,
                            capacities,
                            head == null ? 0 : head.open(pass.h(), pass.count(), logits),
                            head == null ? null : logits.slice());
            if (failure == 3) {
                throw NativeHead.notNumbers();
            } else if (failure == 2) {
                throw new OutOfMemoryError("no native memory for a pass through a decoder layer");
            } else if (failure != 0) {
                throw new IllegalArgumentException(
                        "a decoder layer's activations are not numbers any more: its weights or"
                                + " inputs are damaged");
            }
        } finally {
            Reference.reachabilityFence(kernels);
            Reference.reachabilityFence(layers);
            Reference.reachabilityFence(head);
        }
    }

    private void check(Tokens pass, Cache cache) {
        Checks.buffer("h", pass.h(), (long) pass.count() * spec.sizes().hidden());
        Checks.buffer("cos", pass.cos(), (long) pass.count() * spec.sizes().headSize());
        Checks.buffer("sin", pass.sin(), (long) pass.count() * spec.sizes().headSize());
        checkCache(cache, (long) pass.past() + pass.count());
    }

    private void checkCache(Cache cache, long tokens) {
        LayerSpec.Sizes sizes = spec.sizes();
        long segments = sizes.codedCache() ? cache.slots().length / 6 : 1;
        if (cache.capacity() * segments < tokens) {
            throw new IllegalArgumentException(
                    "the cache has room for "
                            + cache.capacity() * segments
                            + " tokens, the pass needs "
                            + tokens);
        }
        long rows = (long) sizes.kvHeads() * cache.capacity();
        int padded = spec.rotations().get(3).paddedLength();
        for (int i = 0; i < cache.slots().length; i++) {
            long needed = rows * sizes.headSize();
            if (sizes.codedCache()) {
                needed = i % 3 == 0 ? rows * padded / 8 : i % 3 == 1 ? rows * padded / 128 : rows;
            }
            Buffer slot = cache.slots()[i];
            if (!slot.isDirect() || slot.capacity() < needed) {
                throw new IllegalArgumentException(
                        "slot " + i + " of the cache must be direct and hold " + needed);
            }
        }
    }

    @Override
    public void close() {
        handle.close();
    }

    private static native long make(
            int[] integers, float[] floats, Buffer[] buffers, float[][] rotations);

    private static native void free(long layer);

    private static native int run(
            long context,
            long[] layers,
            FloatBuffer h,
            int tokens,
            int past,
            FloatBuffer cos,
            FloatBuffer sin,
            Buffer[][] slots,
            int[] capacities,
            long head,
            FloatBuffer logits);
}
