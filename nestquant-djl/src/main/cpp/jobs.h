#pragma once

#include "context.h"

/** Products shared among the threads of a context. */
namespace nq {

/** 2^(-e/12), e = 0..255, as codec.PackedMatrix computes them. */
extern float rowScalePowers[256];

/** A matrix from what Java knows of it; addresses of buffers are 0 where there is none. */
Matrix matrix(int code, int rows, int columns, std::int64_t words, std::int64_t betas,
              std::int64_t scales, float tensorScale);

/** y = W·x, y [x.rows][w.rows]. */
void multiply(Context& context, const Matrix& w, const Rows& x, float* y);

/** Rows from..to as floats, [to - from][columns]. */
void decodeRows(Context& context, const Matrix& w, int from, int to, float* panel);

/** Scratch of the calling thread, at least so many bytes, 64-byte aligned; reused, never shrunk. */
void* threadScratch(std::int64_t bytes);

}  // namespace nq
