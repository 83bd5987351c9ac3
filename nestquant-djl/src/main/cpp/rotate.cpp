#include "rotate.h"

namespace nq {
namespace NQ_LEVEL {

float rotateRows(int exponent, const float* signs, float* x, int rows) {
    int n = 1 << exponent;
    Rotation rotation = {n, n, exponent, 1, signs, nullptr};
    float largest = 0;
    for (float* row = x; row < x + std::int64_t{rows} * n; row += n) {
        rotate(rotation, row, row); // no factor: no scratch
        for (int block = 0; block < n; block += 8) {
            float norm = 0;
            for (int i = block; i < block + 8; i++) {
                norm += row[i] * row[i];
            }
            // a NaN stays
            largest = norm > largest || norm != norm ? norm : largest;
        }
    }
    return largest;
}

}  // namespace NQ_LEVEL
}  // namespace nq
