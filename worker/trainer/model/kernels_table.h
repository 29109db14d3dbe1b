// The table of one instruction set; see kernels_vector.h.
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_TABLE_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_TABLE_H_

#include "worker/trainer/model/kernels_attention.h"
#include "worker/trainer/model/kernels_rows.h"
#include "worker/trainer/model/kernels_tree.h"

namespace coppice::trainer {
namespace {

template <typename T>
constexpr Kernels<T> MakeTable() {
  return Kernels<T>{Embed<T>,         EmbedGrad<T>,     ResidualNorm<T>, ResidualNormGrad<T>,
                    Relu<T>,          ReluGrad<T>,      Attention<T>,    AttentionGrad<T>,
                    AttentionStep<T>, TreeAttention<T>, SpanCosines<T>,  CrossEntropy<T>,
                    SquareSum<T>,     AdamW<T>};
}

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_TABLE_H_
