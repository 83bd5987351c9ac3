#pragma once

#include <cstdint>

/**
 * What the sources tell each other.
 *
 * Every source but those named ONCE in build.sh is compiled once per level of instruction set, with
 * NQ_LEVEL set to the level's name, and puts all it defines into the namespace nq::NQ_LEVEL. The
 * linker keeps one copy of an inline function or template whatever flags it was compiled with, so
 * those sources must define none elsewhere and use none of the C++ library's; build.sh checks it.
 */
namespace nq {

/** The functions of one level. All levels give the same results, bit for bit. */
struct Level {
    const char* name;

    /** Σ a[i]·b[i], int8 [n]. */
    std::int32_t (*dot)(const std::int8_t* a, const std::int8_t* b, int n);
};

namespace avx512 {
/** AVX-512 F, BW, DQ, VL, VNNI, VBMI, BITALG and VPOPCNTDQ: Ice Lake, Zen 4 and later. */
extern const Level level;
}  // namespace avx512

namespace avx2 {
/** AVX2, FMA, F16C, BMI2: Haswell, Zen and later. */
extern const Level level;
}  // namespace avx2

namespace baseline {
/** What every processor of the architecture has: SSE2, or NEON on aarch64. */
extern const Level level;
}  // namespace baseline

/**
 * Returns a level by its name, nullptr or "" for the best that this processor has.
 *
 * Returns nullptr if there is no such level, this build lacks it or this processor does.
 */
const Level* findLevel(const char* name);

}  // namespace nq
