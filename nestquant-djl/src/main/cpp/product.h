#pragma once

#include "common.h"

/** Products of one level, see Level. */
namespace nq {
namespace NQ_LEVEL {

void multiply(const Matrix& w, const Rows& x, int from, int to, float* y, void* scratch);
std::int64_t scratchBytes(const Matrix& w, const Rows& x);
void readStored(const StoredTiles& s, int tile, std::int32_t* words, std::uint8_t* betas);
void decodeRows(const Matrix& w, int from, int to, float* panel, void* scratch);

/** Decodes a tile to int8, laid out as codec.Int8Matrix does: [columns/4][16 rows][4 columns]. */
void decodeTile(const Matrix& w, int tile, std::int32_t* panel);

/** The same from 16·E8's stored form. */
void decodeStored(const StoredTiles& s, int tile, std::int32_t* panel);

}  // namespace NQ_LEVEL
}  // namespace nq
