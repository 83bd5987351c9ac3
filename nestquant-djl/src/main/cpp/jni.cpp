#include <jni.h>

#include <new>

#include "context.h"
#include "jobs.h"

/** The only source that knows of Java: arguments have been checked there, here they are passed on. */

namespace {

nq::Context& context(jlong handle) {
    return *reinterpret_cast<nq::Context*>(handle);
}

struct SumJob {
    std::atomic<jlong> sum;
};

}  // namespace

#define NQ_JNI(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_nestquant_kernels_##name

/** Returns a context of the named level (null: the best) with one thread, 0 where there is none. */
NQ_JNI(jlong, NativeKernels_open)(JNIEnv* env, jclass, jstring name) {
    const char* chars = name == nullptr ? nullptr : env->GetStringUTFChars(name, nullptr);
    const nq::Level* level = nq::findLevel(chars);
    if (chars != nullptr) {
        env->ReleaseStringUTFChars(name, chars);
    }
    nq::Context* made = level == nullptr ? nullptr : new (std::nothrow) nq::Context{level, {}};
    return reinterpret_cast<jlong>(made);
}

NQ_JNI(void, NativeKernels_close)(JNIEnv*, jclass, jlong handle) {
    delete &context(handle);
}

NQ_JNI(jstring, NativeKernels_level)(JNIEnv* env, jclass, jlong handle) {
    return env->NewStringUTF(context(handle).level->name);
}

NQ_JNI(jint, NativeKernels_threads)(JNIEnv*, jclass, jlong handle) {
    return context(handle).pool.threads();
}

NQ_JNI(jint, NativeKernels_setThreads)(JNIEnv*, jclass, jlong handle, jint threads) {
    return context(handle).pool.setThreads(threads);
}

/** Returns Σ (part + 1) over all parts, each added by whichever thread takes it: for tests. */
NQ_JNI(jlong, NativeKernels_sumOfParts)(JNIEnv*, jclass, jlong handle, jint parts) {
    SumJob job{{0}};
    context(handle).pool.run(
        parts,
        [](void* shared, int part) { static_cast<SumJob*>(shared)->sum.fetch_add(part + 1); },
        &job);
    return job.sum.load();
}

/** Sums 64-bit words. */
NQ_JNI(jlong, NativeKernels_sumWords)(JNIEnv*, jclass, jlong handle, jlong memory, jint words) {
    const std::uint64_t* first = reinterpret_cast<const std::uint64_t*>(memory);
    return static_cast<jlong>(nq::sumWords(context(handle), first, words));
}

/** Puts new memory on large pages if possible. */
NQ_JNI(void, NativeKernels_takeLargePages)(JNIEnv*, jclass, jlong memory, jint bytes) {
    nq::takeLargePages(reinterpret_cast<char*>(memory), bytes);
}

/** Zeroes new memory, on large pages if possible. */
NQ_JNI(void, NativeKernels_clear)(JNIEnv*, jclass, jlong handle, jlong memory, jint bytes) {
    nq::clear(context(handle), reinterpret_cast<char*>(memory), bytes);
}

/** Sets the 256 powers 2^(-e/12) of row scales, for all contexts. */
NQ_JNI(void, NativeKernels_setPowers)(JNIEnv* env, jclass, jfloatArray powers) {
    env->GetFloatArrayRegion(powers, 0, 256, nq::rowScalePowers);
}

/** Returns the address of a direct buffer's first element. */
NQ_JNI(jlong, NativeKernels_address)(JNIEnv* env, jclass, jobject buffer) {
    return reinterpret_cast<jlong>(env->GetDirectBufferAddress(buffer));
}

/** y = W·x; y [x.rows][w.rows] is an array, or a buffer where that is null. */
NQ_JNI(void, NativeKernels_multiply)
(JNIEnv* env, jclass, jlong handle, jint code, jint rows, jint columns, jlong words, jlong betas,
 jlong scales, jfloat tensorScale, jint vectors, jbyteArray high, jbyteArray low, jfloatArray xScales,
 jfloatArray result, jlong buffer) {
    nq::Matrix w = nq::matrix(code, rows, columns, words, betas, scales, tensorScale);
    void* h = env->GetPrimitiveArrayCritical(high, nullptr);
    void* l = low == nullptr ? nullptr : env->GetPrimitiveArrayCritical(low, nullptr);
    void* s = env->GetPrimitiveArrayCritical(xScales, nullptr);
    void* y = result == nullptr ? reinterpret_cast<void*>(buffer)
                                : env->GetPrimitiveArrayCritical(result, nullptr);
    nq::Rows x = {vectors, columns, static_cast<const std::int8_t*>(h),
                  static_cast<const std::int8_t*>(l), static_cast<const float*>(s)};
    nq::multiply(context(handle), w, x, static_cast<float*>(y));
    if (result != nullptr) {
        env->ReleasePrimitiveArrayCritical(result, y, 0);
    }
    env->ReleasePrimitiveArrayCritical(xScales, s, JNI_ABORT);
    if (low != nullptr) {
        env->ReleasePrimitiveArrayCritical(low, l, JNI_ABORT);
    }
    env->ReleasePrimitiveArrayCritical(high, h, JNI_ABORT);
}

/** Rows from..to as floats. */
NQ_JNI(void, NativeKernels_decodeRows)
(JNIEnv*, jclass, jlong handle, jint code, jint rows, jint columns, jlong words, jlong betas,
 jlong scales, jfloat tensorScale, jint from, jint to, jlong panel) {
    nq::Matrix w = nq::matrix(code, rows, columns, words, betas, scales, tensorScale);
    nq::decodeRows(context(handle), w, from, to, reinterpret_cast<float*>(panel));
}

/** Reads whole tiles from their stored form. */
NQ_JNI(void, NativeKernels_readStored)
(JNIEnv*, jclass, jlong handle, jint code, jint rows, jint columns, jlong storedWords,
 jlong storedBetas, jlong words, jlong betas) {
    nq::StoredTiles stored = {static_cast<nq::Code>(code), columns,
                              reinterpret_cast<const std::int32_t*>(storedWords),
                              reinterpret_cast<const std::int32_t*>(storedBetas)};
    nq::readStored(context(handle), stored, rows / 16, reinterpret_cast<std::int32_t*>(words),
                   reinterpret_cast<std::uint8_t*>(betas));
}
