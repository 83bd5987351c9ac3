#include <cstring>

#include "common.h"

namespace nq {
namespace {

#if defined(__x86_64__)

#ifdef NQ_HAS_AVX512
bool hasAvx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("gfni");
}
#endif

#ifdef NQ_HAS_AVX2
/** F16C has no name in older compilers' builtin. */
bool hasF16c() {
    unsigned a = 1, b = 0, c = 0, d = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c >> 29 & 1) != 0;
}

bool hasAvx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && hasF16c();
}
#endif

#endif

}  // namespace

const Level* findLevel(const char* name) {
    const Level* levels[3];
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef NQ_HAS_AVX512
    if (hasAvx512() && hasAvx2()) {
        levels[count++] = &avx512::level;
    }
#endif
#ifdef NQ_HAS_AVX2
    if (hasAvx2()) {
        levels[count++] = &avx2::level;
    }
#endif
#endif
    levels[count++] = &baseline::level;
    if (name == nullptr || *name == 0) {
        return levels[0];
    }
    for (int i = 0; i < count; i++) {
        if (std::strcmp(levels[i]->name, name) == 0) {
            return levels[i];
        }
    }
    return nullptr;
}

}  // namespace nq
