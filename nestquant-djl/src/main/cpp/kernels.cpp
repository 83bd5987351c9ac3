#include "common.h"
#include "encode.h"
#include "layer.h"
#include "product.h"

#define NQ_TEXT(x) NQ_TEXT_OF(x)
#define NQ_TEXT_OF(x) #x

namespace nq {
namespace NQ_LEVEL {

const Level level = {
    NQ_TEXT(NQ_LEVEL), multiply, scratchBytes, decodeRows, readStored, encodeRow, encodeVector,
    rotateRows, runLayer};

}  // namespace NQ_LEVEL
}  // namespace nq
