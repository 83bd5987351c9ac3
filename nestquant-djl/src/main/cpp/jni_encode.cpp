#include <jni.h>

#include <cstdlib>

#include "context.h"
#include "encode.h"

/** Encoding for Java: sizes have been checked there. */

namespace {

/** What encoding a row needs, in one piece of memory. */
struct Workplace {
    float* x;
    float* scratch;
    nq::EncodedRow row;

    explicit Workplace(int columns) {
        std::size_t floats = static_cast<std::size_t>(columns + nq::encodeScratch(columns));
        std::size_t bytes = 4 * floats + static_cast<std::size_t>(columns + columns / 8);
        x = static_cast<float*>(std::malloc(bytes));
        scratch = x + columns;
        row = {};
        row.points = reinterpret_cast<std::int8_t*>(x + floats);
        row.indices = reinterpret_cast<std::uint8_t*>(row.points + columns);
    }
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;
    ~Workplace() { std::free(x); }
};

/** Returned where memory is missing; otherwise the row that cannot be encoded, or -1. */
constexpr jint NO_MEMORY = -2;

}  // namespace

#define NQ_JNI(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_nestquant_kernels_##name

/**
 * Encodes rows from..to of a matrix; x holds them from `offset` on, stats receives error, norm and
 * overloads of each. Returns the first row with an entry that cannot be encoded, or -1.
 */
NQ_JNI(jint, NativeKernels_encodeRows)
(JNIEnv* env, jclass, jlong handle, jint code, jint columns, jlong words, jlong betas,
 jlong exponents, jfloat tensorScale, jint window, jint from, jint to, jfloatArray x, jint offset,
 jdoubleArray stats) {
    Workplace place(columns);
    if (place.x == nullptr) {
        return NO_MEMORY;
    }
    const nq::Level& level = *reinterpret_cast<nq::Context*>(handle)->level;
    nq::PackedRows target = {
        code,
        columns,
        reinterpret_cast<std::int32_t*>(words),
        reinterpret_cast<std::int32_t*>(betas),
        reinterpret_cast<std::uint8_t*>(exponents)};
    for (int row = from; row < to; row++) {
        env->GetFloatArrayRegion(x, offset + (row - from) * columns, columns, place.x);
        if (!level.encodeRow(
                nq::latticeCode(code),
                tensorScale,
                window,
                place.x,
                columns,
                place.scratch,
                place.row)) {
            return row;
        }
        nq::packRow(target, row, place.row);
        double result[] = {
            place.row.error, place.row.norm, static_cast<double>(place.row.overloads)};
        env->SetDoubleArrayRegion(stats, 3 * (row - from), 3, result);
    }
    return -1;
}

/**
 * Encodes vectors that stand alone, x [rows][columns], as integers with a scale each. Returns the
 * first row with an entry that cannot be encoded, or -1.
 */
NQ_JNI(jint, NativeKernels_encodeIntegers)
(JNIEnv* env, jclass, jlong handle, jint code, jint rows, jint columns, jint window, jfloatArray x,
 jbyteArray integers, jfloatArray scales) {
    Workplace place(columns);
    if (place.x == nullptr) {
        return NO_MEMORY;
    }
    const nq::Level& level = *reinterpret_cast<nq::Context*>(handle)->level;
    const nq::LatticeCode& lattice = nq::latticeCode(code);
    for (int row = 0; row < rows; row++) {
        env->GetFloatArrayRegion(x, row * columns, columns, place.x);
        float tensorScale = nq::tensorScaleOf(lattice, place.x, columns);
        if (tensorScale == 0) {
            continue;
        }
        if (!level.encodeRow(
                lattice, tensorScale, window, place.x, columns, place.scratch, place.row)) {
            return row;
        }
        std::int8_t* out = reinterpret_cast<std::int8_t*>(place.x);
        nq::decodeIntegers(lattice, place.row, columns, out);
        env->SetByteArrayRegion(integers, row * columns, columns, out);
        env->SetFloatArrayRegion(scales, row, 1, &place.row.scale);
    }
    return -1;
}
