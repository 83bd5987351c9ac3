#include <jni.h>

#include "context.h"
#include "encode.h"
#include "jobs.h"

/** Encoding for Java: sizes have been checked there. */

namespace {

nq::Context& context(jlong handle) {
    return *reinterpret_cast<nq::Context*>(handle);
}

}  // namespace

#define NQ_JNI(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_nestquant_kernels_##name

/**
 * Encodes rows from..to of a matrix on the calling thread; x holds them from `offset` on, stats
 * receives error, norm and overloads of each. Returns the first row with an entry that cannot be
 * encoded, or -1.
 */
NQ_JNI(jint, NativeKernels_encodeRows)
(JNIEnv* env, jclass, jlong handle, jint code, jint columns, jlong words, jlong betas,
 jlong exponents, jfloat tensorScale, jint window, jint from, jint to, jfloatArray x, jint offset,
 jdoubleArray stats) {
    nq::PackedRows target = {
        code,
        columns,
        reinterpret_cast<std::int32_t*>(words),
        reinterpret_cast<std::uint8_t*>(betas),
        reinterpret_cast<std::uint8_t*>(exponents)};
    float* entries = static_cast<float*>(nq::threadScratch(4 * columns + nq::encodeBytes(columns)));
    nq::EncodedRow row;
    float* scratch = nq::encodedRow(entries + columns, columns, row);
    for (int i = from; i < to; i++) {
        env->GetFloatArrayRegion(x, offset + (i - from) * columns, columns, entries);
        if (!context(handle).level->encodeRow(
                nq::latticeCode(code), tensorScale, window, entries, columns, scratch, row)) {
            return i;
        }
        nq::packRow(target, i, row);
        double result[] = {row.error, row.norm, static_cast<double>(row.overloads)};
        env->SetDoubleArrayRegion(stats, 3 * (i - from), 3, result);
    }
    return -1;
}

/**
 * Encodes vectors that stand alone, x [rows][columns], as integers with a scale each. Returns the
 * first row with an entry that cannot be encoded, or -1.
 */
NQ_JNI(jint, NativeKernels_encodeIntegers)
(JNIEnv* env, jclass, jlong handle, jint code, jint rows, jint columns, jfloatArray x,
 jbyteArray integers, jfloatArray scales) {
    float* entries = static_cast<float*>(env->GetPrimitiveArrayCritical(x, nullptr));
    void* out = env->GetPrimitiveArrayCritical(integers, nullptr);
    void* outScales = env->GetPrimitiveArrayCritical(scales, nullptr);
    int bad = nq::encodeIntegers(
        context(handle),
        code,
        entries,
        rows,
        columns,
        static_cast<std::int8_t*>(out),
        static_cast<float*>(outScales));
    env->ReleasePrimitiveArrayCritical(scales, outScales, 0);
    env->ReleasePrimitiveArrayCritical(integers, out, 0);
    env->ReleasePrimitiveArrayCritical(x, entries, JNI_ABORT);
    return bad;
}

/**
 * Rotates rows of 2^exponent entries, x [rows][2^exponent], on the calling thread. Returns the
 * largest squared norm of 8 neighbours, NaN or infinite if an entry is.
 */
NQ_JNI(jfloat, NativeKernels_rotateRows)
(JNIEnv* env, jclass, jlong handle, jint exponent, jfloatArray signs, jfloatArray x, jint rows) {
    float* entries = static_cast<float*>(env->GetPrimitiveArrayCritical(x, nullptr));
    void* factors = env->GetPrimitiveArrayCritical(signs, nullptr);
    float largest = context(handle).level->rotateRows(
        exponent, static_cast<const float*>(factors), entries, rows);
    env->ReleasePrimitiveArrayCritical(signs, factors, JNI_ABORT);
    env->ReleasePrimitiveArrayCritical(x, entries, 0);
    return largest;
}
