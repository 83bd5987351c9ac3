#pragma once

#include "context.h"
#include "layer.h"

/** Products shared among the threads of a context. */
namespace nq {

/** A matrix from what Java knows of it; addresses of buffers are 0 where there is none. */
Matrix matrix(int code, int rows, int columns, std::int64_t words, std::int64_t betas,
              std::int64_t scales, float tensorScale);

/** y = W·x, y [x.rows][w.rows]. */
void multiply(Context& context, const Matrix& w, const Rows& x, float* y);

/** Rows from..to as floats, [to - from][columns]. */
void decodeRows(Context& context, const Matrix& w, int from, int to, float* panel);

/** Reads tiles from their stored form to words and index bits of a matrix. */
void readStored(Context& context, const StoredTiles& s, int tiles, std::int32_t* words,
                std::uint8_t* betas);

/** Puts memory that nothing has been written to on large pages, where the system has them. */
void takeLargePages(char* memory, std::int64_t bytes);

/** Zeroes memory that nothing has been written to, on large pages where the system has them. */
void clear(Context& context, char* memory, std::int64_t bytes);

/**
 * Moves memory that has been written to large pages where the system can: the many arrays that are
 * smaller than a few of them, or lie across their bounds, then take fewer walks through page tables.
 */
void gather(const void* memory, std::int64_t bytes);

/** Sums words modulo 2^64, to read memory as fast as all threads can. */
std::uint64_t sumWords(Context& context, const std::uint64_t* words, std::int64_t count);

}  // namespace nq
