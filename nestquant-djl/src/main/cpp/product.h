#pragma once

#include "common.h"

/** Products of one level, see Level. */
namespace nq {
namespace NQ_LEVEL {

void multiply(const Matrix& w, const Rows& x, int from, int to, float* y, void* scratch);
std::int64_t scratchBytes(const Matrix& w, const Rows& x);
void decodeRows(const Matrix& w, int from, int to, float* panel, void* scratch);

}  // namespace NQ_LEVEL
}  // namespace nq
