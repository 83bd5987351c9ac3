#include "layer.h"
#include "product.h"
#include "rotate.h"

namespace nq {
namespace NQ_LEVEL {
namespace {

struct Lookup {
    const Embedding* embedding;
    const std::int64_t* ids;
    float* out;

    /** Bytes of a row's floats, in whole lines so that what follows is aligned. */
    std::int64_t rowBytes() const {
        return (4 * static_cast<std::int64_t>(embedding->w.columns) + 63) / 64 * 64;
    }

    void row(int i) const {
        const Matrix& w = embedding->w;
        const Rotation& r = embedding->rotation;
        Rows none = {0, w.columns, nullptr, nullptr, nullptr};
        char* scratch = static_cast<char*>(threadScratch(2 * rowBytes() + scratchBytes(w, none)));
        float* x = reinterpret_cast<float*>(scratch);
        float* work = reinterpret_cast<float*>(scratch + rowBytes());
        int id = static_cast<int>(ids[i]);
        decodeRows(w, id, id + 1, x, scratch + 2 * rowBytes());
        rotateBack(r, x, work);
        std::memcpy(out + static_cast<std::int64_t>(i) * r.length, x,
                    sizeof(float) * static_cast<std::size_t>(r.length));
    }
};

}  // namespace

void embed(Pool& pool, const Embedding& embedding, const std::int64_t* ids, int count, float* out) {
    Lookup lookup = {&embedding, ids, out};
    pool.run(count, [](void* shared, int i) { static_cast<Lookup*>(shared)->row(i); }, &lookup);
}

}  // namespace NQ_LEVEL
}  // namespace nq
