#include "common.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

#define NQ_TEXT(x) NQ_TEXT_OF(x)
#define NQ_TEXT_OF(x) #x

std::int32_t dot(const std::int8_t* a, const std::int8_t* b, int n) {
    std::int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

}  // namespace

const Level level = {NQ_TEXT(NQ_LEVEL), dot};

}  // namespace NQ_LEVEL
}  // namespace nq
