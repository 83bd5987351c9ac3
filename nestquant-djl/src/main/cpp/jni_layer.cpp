#include <jni.h>

#include <cstdlib>
#include <new>

#include "jobs.h"

/** Decoder layers for Java: what LayerSpec.java lists, in its order. */

namespace {

constexpr int LINEARS = 7;
constexpr int ROTATIONS = 4;

/** A layer with its own copies of the rotations. */
struct OwnedLayer {
    nq::Layer layer;
    float* arrays[2 * ROTATIONS];

    ~OwnedLayer() {
        for (float* array : arrays) {
            std::free(array);
        }
    }
};

/** A copy of a Java array, null for null. */
float* copy(JNIEnv* env, jobjectArray arrays, int index) {
    jfloatArray array = static_cast<jfloatArray>(env->GetObjectArrayElement(arrays, index));
    if (array == nullptr) {
        return nullptr;
    }
    jsize length = env->GetArrayLength(array);
    float* made = static_cast<float*>(std::malloc(4 * static_cast<std::size_t>(length) + 64));
    if (made != nullptr) {
        env->GetFloatArrayRegion(array, 0, length, made);
    }
    env->DeleteLocalRef(array);
    return made;
}

template <typename T>
T* address(JNIEnv* env, jobjectArray buffers, int index) {
    jobject buffer = env->GetObjectArrayElement(buffers, index);
    if (buffer == nullptr) {
        return nullptr;
    }
    T* start = static_cast<T*>(env->GetDirectBufferAddress(buffer));
    env->DeleteLocalRef(buffer);
    return start;
}

/** The addresses of buffers, to be freed; null where memory is missing. */
std::int64_t* addressesOf(JNIEnv* env, jobjectArray buffers) {
    jsize count = env->GetArrayLength(buffers);
    std::int64_t* addresses = static_cast<std::int64_t*>(
        std::malloc(sizeof(std::int64_t) * static_cast<std::size_t>(count)));
    for (jsize i = 0; i < count && addresses != nullptr; i++) {
        addresses[i] = reinterpret_cast<std::int64_t>(address<char>(env, buffers, i));
    }
    return addresses;
}

}  // namespace

#define NQ_JNI(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_nestquant_kernels_##name

/** Makes a layer over buffers that outlive it; 0 where memory is missing. */
NQ_JNI(jlong, NativeLayer_make)
(JNIEnv* env, jclass, jintArray integers, jfloatArray floats, jobjectArray buffers,
 jobjectArray rotations) {
    OwnedLayer* owned = new (std::nothrow) OwnedLayer();
    if (owned == nullptr) {
        return 0;
    }
    jint i[8 + 3 * LINEARS + 4 * ROTATIONS];
    env->GetIntArrayRegion(integers, 0, sizeof i / sizeof *i, i);
    jfloat f[1 + LINEARS];
    env->GetFloatArrayRegion(floats, 0, sizeof f / sizeof *f, f);
    nq::Layer& layer = owned->layer;
    layer.hidden = i[0];
    layer.heads = i[1];
    layer.kvHeads = i[2];
    layer.headSize = i[3];
    layer.inner = i[4];
    layer.window = i[5];
    layer.activationBits = i[6];
    layer.codedCache = i[7] != 0;
    layer.epsilon = f[0];
    layer.attentionNorm = address<float>(env, buffers, 0);
    layer.feedForwardNorm = address<float>(env, buffers, 1);
    layer.queryNorm = address<float>(env, buffers, 2);
    layer.keyNorm = address<float>(env, buffers, 3);
    nq::Linear* linears[] = {&layer.query, &layer.key, &layer.value, &layer.output,
                             &layer.gate,  &layer.up,  &layer.down};
    for (int l = 0; l < LINEARS; l++) {
        const jint* shape = i + 8 + 3 * l;
        int at = 4 + 4 * l;
        linears[l]->w = {static_cast<nq::Code>(shape[0]),
                         shape[1],
                         shape[2],
                         address<std::int32_t>(env, buffers, at),
                         address<std::uint8_t>(env, buffers, at + 1),
                         nullptr,
                         address<std::uint8_t>(env, buffers, at + 2),
                         nq::rowScalePowers,
                         f[1 + l]};
        linears[l]->bias = address<float>(env, buffers, at + 3);
        const nq::Matrix& w = linears[l]->w;
        std::int64_t tiles = w.tiles();
        nq::gather(w.words, tiles * w.intsPerRow() * 16 * 4);
        nq::gather(w.betas, tiles * w.blocks() * nq::INDEX_BYTES);
    }
    nq::Rotation* all[] = {&layer.hiddenRotation, &layer.mixedRotation, &layer.innerRotation,
                           &layer.headRotation};
    for (int r = 0; r < ROTATIONS; r++) {
        const jint* plan = i + 8 + 3 * LINEARS + 4 * r;
        owned->arrays[2 * r] = copy(env, rotations, 2 * r);
        owned->arrays[2 * r + 1] = copy(env, rotations, 2 * r + 1);
        *all[r] = {plan[0], plan[1], plan[2], plan[3], owned->arrays[2 * r],
                   owned->arrays[2 * r + 1]};
        if (owned->arrays[2 * r] == nullptr ||
            (plan[3] > 1 && owned->arrays[2 * r + 1] == nullptr)) {
            delete owned;
            return 0;
        }
    }
    return reinterpret_cast<jlong>(owned);
}

NQ_JNI(void, NativeLayer_free)(JNIEnv*, jclass, jlong layer) {
    delete reinterpret_cast<OwnedLayer*>(layer);
}

/** Runs tokens through layers; 1 if an entry is no number, 2 where memory is missing, else 0. */
NQ_JNI(jint, NativeLayer_run)
(JNIEnv* env, jclass, jlong handle, jlongArray layers, jobject h, jint tokens, jint past, jobject cos,
 jobject sin, jobjectArray slots, jintArray capacities) {
    nq::Context& context = *reinterpret_cast<nq::Context*>(handle);
    nq::Pass pass = {static_cast<float*>(env->GetDirectBufferAddress(h)),
                     tokens,
                     past,
                     static_cast<const float*>(env->GetDirectBufferAddress(cos)),
                     static_cast<const float*>(env->GetDirectBufferAddress(sin)),
                     nullptr,
                     0,
                     nullptr};
    jsize count = env->GetArrayLength(layers);
    for (jsize l = 0; l < count; l++) {
        jobjectArray ofLayer = static_cast<jobjectArray>(env->GetObjectArrayElement(slots, l));
        std::int64_t* addresses = addressesOf(env, ofLayer);
        env->DeleteLocalRef(ofLayer);
        if (addresses == nullptr) {
            return 2;
        }
        jlong layer;
        env->GetLongArrayRegion(layers, l, 1, &layer);
        jint capacity;
        env->GetIntArrayRegion(capacities, l, 1, &capacity);
        pass.slots = addresses;
        pass.capacity = capacity;
        bool numbers = context.level->runLayer(
            context.pool, reinterpret_cast<OwnedLayer*>(layer)->layer, pass);
        std::free(addresses);
        if (!numbers) {
            return 1;
        }
    }
    return 0;
}
