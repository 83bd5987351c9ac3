#pragma once

#include "common.h"
#include "pool.h"

namespace nq {

/** What an object of the Java class NativeKernels owns: a level and its threads. */
struct Context {
    const Level* level;
    Pool pool;
};

}  // namespace nq
