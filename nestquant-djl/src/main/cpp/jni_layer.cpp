#include <jni.h>

#include <cstdlib>
#include <new>

#include "jobs.h"

/** Decoder layers, head and embedding for Java: what LayerSpec.java and HeadSpec.java list, in their order. */

namespace {

constexpr int LINEARS = 7;
constexpr int ROTATIONS = 4;

/** A layer, a head or an embedding with its own copies of the rotations. */
template <typename T, int N>
struct Owned {
    T part;
    float* arrays[2 * N];

    ~Owned() {
        for (float* array : arrays) {
            std::free(array);
        }
    }
};

using OwnedLayer = Owned<nq::Layer, ROTATIONS>;
using OwnedHead = Owned<nq::Head, 1>;
using OwnedEmbedding = Owned<nq::Embedding, 1>;

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

/** Makes rotation `index` of what its plan and pair of arrays say; false where memory is missing. */
bool takeRotation(JNIEnv* env, const jint* plan, jobjectArray arrays, int index, float** owned,
                  nq::Rotation& to) {
    owned[0] = copy(env, arrays, 2 * index);
    owned[1] = copy(env, arrays, 2 * index + 1);
    to = {plan[0], plan[1], plan[2], plan[3], owned[0], owned[1]};
    return owned[0] != nullptr && (plan[3] == 1 || owned[1] != nullptr);
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
    nq::Layer& layer = owned->part;
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
        if (!takeRotation(env, plan, rotations, r, owned->arrays + 2 * r, *all[r])) {
            delete owned;
            return 0;
        }
    }
    return reinterpret_cast<jlong>(owned);
}

NQ_JNI(void, NativeLayer_free)(JNIEnv*, jclass, jlong layer) {
    delete reinterpret_cast<OwnedLayer*>(layer);
}

/** Makes a head over buffers that outlive it; 0 where memory is missing. */
NQ_JNI(jlong, NativeHead_make)
(JNIEnv* env, jclass, jint activationBits, jobject norm, jfloat epsilon, jint code, jint rows,
 jint columns, jlong words, jlong betas, jlong scales, jfloat tensorScale, jintArray rotation,
 jobjectArray arrays) {
    OwnedHead* owned = new (std::nothrow) OwnedHead();
    if (owned == nullptr) {
        return 0;
    }
    jint plan[4];
    env->GetIntArrayRegion(rotation, 0, 4, plan);
    nq::Head& head = owned->part;
    head.hidden = plan[0];
    head.activationBits = activationBits;
    head.epsilon = epsilon;
    head.norm = static_cast<const float*>(env->GetDirectBufferAddress(norm));
    head.product = {nq::matrix(code, rows, columns, words, betas, scales, tensorScale), nullptr};
    if (!takeRotation(env, plan, arrays, 0, owned->arrays, head.rotation)) {
        delete owned;
        return 0;
    }
    return reinterpret_cast<jlong>(owned);
}

NQ_JNI(void, NativeHead_free)(JNIEnv*, jclass, jlong head) {
    delete reinterpret_cast<OwnedHead*>(head);
}

/** Logits of a hidden state; false if that is no number. */
NQ_JNI(jboolean, NativeHead_run)
(JNIEnv* env, jclass, jlong handle, jlong head, jobject h, jobject logits) {
    nq::Context& context = *reinterpret_cast<nq::Context*>(handle);
    return context.level->runHead(context.pool, reinterpret_cast<OwnedHead*>(head)->part,
                                  static_cast<const float*>(env->GetDirectBufferAddress(h)),
                                  static_cast<float*>(env->GetDirectBufferAddress(logits)));
}

/** Makes an embedding over buffers that outlive it; 0 where memory is missing. */
NQ_JNI(jlong, NativeEmbedding_make)
(JNIEnv* env, jclass, jint code, jint rows, jint columns, jlong words, jlong betas, jlong scales,
 jfloat tensorScale, jintArray rotation, jobjectArray arrays) {
    OwnedEmbedding* owned = new (std::nothrow) OwnedEmbedding();
    if (owned == nullptr) {
        return 0;
    }
    jint plan[4];
    env->GetIntArrayRegion(rotation, 0, 4, plan);
    owned->part.w = nq::matrix(code, rows, columns, words, betas, scales, tensorScale);
    if (!takeRotation(env, plan, arrays, 0, owned->arrays, owned->part.rotation)) {
        delete owned;
        return 0;
    }
    return reinterpret_cast<jlong>(owned);
}

NQ_JNI(void, NativeEmbedding_free)(JNIEnv*, jclass, jlong embedding) {
    delete reinterpret_cast<OwnedEmbedding*>(embedding);
}

/** Looks up rows. */
NQ_JNI(void, NativeEmbedding_embed)
(JNIEnv* env, jclass, jlong handle, jlong embedding, jlongArray ids, jobject out) {
    nq::Context& context = *reinterpret_cast<nq::Context*>(handle);
    jlong* rows = env->GetLongArrayElements(ids, nullptr);
    if (rows == nullptr) {
        return; // with an OutOfMemoryError under way
    }
    static_assert(sizeof(jlong) == sizeof(std::int64_t), "ids are passed on as they are");
    context.level->embed(context.pool, reinterpret_cast<OwnedEmbedding*>(embedding)->part,
                         reinterpret_cast<const std::int64_t*>(rows), env->GetArrayLength(ids),
                         static_cast<float*>(env->GetDirectBufferAddress(out)));
    env->ReleaseLongArrayElements(ids, rows, JNI_ABORT);
}

/**
 * Runs tokens through layers, and the last of them through a head unless that is 0. Returns 1 if an
 * entry is no number in a layer and 3 in the head, 2 where memory is missing, else 0.
 */
NQ_JNI(jint, NativeLayer_run)
(JNIEnv* env, jclass, jlong handle, jlongArray layers, jobject h, jint tokens, jint past, jobject cos,
 jobject sin, jobjectArray slots, jintArray capacities, jlong head, jobject logits) {
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
            context.pool, reinterpret_cast<OwnedLayer*>(layer)->part, pass);
        std::free(addresses);
        if (!numbers) {
            return 1;
        }
    }
    if (head == 0) {
        return 0;
    }
    const nq::Head& last = reinterpret_cast<OwnedHead*>(head)->part;
    float* to = static_cast<float*>(env->GetDirectBufferAddress(logits));
    const float* state = pass.h + static_cast<std::int64_t>(tokens - 1) * last.hidden;
    return context.level->runHead(context.pool, last, state, to) ? 0 : 3;
}
