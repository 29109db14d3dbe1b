// Rows of the flat buffers as weights.
#ifndef COPPICE_WORKER_TRAINER_MODEL_WEIGHTS_H_
#define COPPICE_WORKER_TRAINER_MODEL_WEIGHTS_H_

#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/trainer/model/parameters.h"

namespace coppice::trainer {

// K of a tensor [K, m, n]; the leading dimension exists only when K > 1.
inline int64_t PackWidth(const at::Tensor& matrix) {
  return matrix.dim() == 2 ? 1 : matrix.size(0);
}

struct LayerWeights {
  at::Tensor qkv;                           // [K, 3 d, d]: q, then k and v of each head
  at::Tensor merge;                         // [K, d, d]
  at::Tensor linear1, bias1;                // [K, f, d], [K, f]
  at::Tensor linear2, bias2;                // [K, d, f], [K, d]
  at::Tensor gamma1, beta1, gamma2, beta2;  // [K, d]
};

// Views of `flat` [K, P]: a write to a view changes `flat`. The leading dimension exists only when
// K > 1. The products of a single member are plain matrix products, which LibTorch passes to the
// BLAS with the least overhead. Used for parameters and for gradients.
struct Weights {
  at::Tensor embedding;            // [K, V, d]
  at::Tensor output, output_bias;  // [K, V, d], [K, V]
  std::vector<LayerWeights> layers;

  static Weights View(const at::Tensor& flat, const ParameterLayout& layout);
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_WEIGHTS_H_
