#include <jni.h>

#include <new>

#include "context.h"

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

/** Returns Σ a[i]·b[i] of two direct buffers: for tests. */
NQ_JNI(jint, NativeKernels_dot)(JNIEnv* env, jclass, jlong handle, jobject a, jobject b, jint n) {
    return context(handle).level->dot(
        static_cast<const std::int8_t*>(env->GetDirectBufferAddress(a)),
        static_cast<const std::int8_t*>(env->GetDirectBufferAddress(b)),
        n);
}
