#ifndef COPPICE_BENCH_TRAINER_PRODUCTS_H_
#define COPPICE_BENCH_TRAINER_PRODUCTS_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/model/weights.h"

namespace coppice::bench {

// The matrix products of the trainer's forward and backward pass (model/transformer.cc), in their
// order and shapes, with nothing between them. Weights and gradients have the trainer's layout. The
// numbers mean nothing. Attention's products are left out: they are too small for a BLAS, and a
// kernel of the trainer computes them. Not thread-safe.
class Products {
 public:
  // Batches have at most `max_rows` rows.
  Products(const trainer::ModelShape& shape, int64_t max_rows);

  void Step(int64_t rows);

 private:
  const trainer::ParameterLayout layout_;
  at::Tensor parameters_, gradients_;  // [1, P]
  trainer::Weights weights_, weight_gradients_;
  at::Tensor x_, dx_;                 // [R, d]
  at::Tensor qkv_, hidden_, logits_;  // [R, 3 d], [R, f], [R, V]
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_PRODUCTS_H_
