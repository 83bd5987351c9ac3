#include "linear.h"

namespace nq {
namespace NQ_LEVEL {

bool runHead(Pool& pool, const Head& head, const float* h, float* logits) {
    int columns = head.rotation.padded;
    int failed = 0;
    Arena arena = {static_cast<char*>(callScratch(Coded::bytes(1, columns)))};
    Coded coded = Coded::take(arena, 1, columns);
    Prepare normed = {&pool, &head.rotation, {Source::NORM, h, head.norm, head.hidden, head.epsilon},
                      head.activationBits, coded, 1, &failed, 0};
    normed.run();
    if (failed != 0) {
        return false;
    }
    Rows x = coded.rows(1, columns, head.activationBits);
    Products product = {x, {&head.product}, {logits}, 1, {}, 0};
    product.run(pool);
    return true;
}

}  // namespace NQ_LEVEL
}  // namespace nq
