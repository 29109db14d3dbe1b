#include "bench/trainer/products.h"

#include <algorithm>

#include "ATen/ops/rand.h"
#include "ATen/ops/zeros.h"
#include "worker/trainer/model/matmul.h"

namespace coppice::bench {

using trainer::AddLinearInputGrad;
using trainer::Linear;
using trainer::LinearInputGrad;
using trainer::LinearWeightGrad;

Products::Products(const trainer::ModelShape& shape, int64_t max_rows)
    : layout_(shape),
      parameters_(at::rand({1, layout_.row_size()})),
      gradients_(at::zeros({1, layout_.row_size()})),
      weights_(trainer::Weights::View(parameters_, layout_)),
      weight_gradients_(trainer::Weights::View(gradients_, layout_)),
      x_(at::rand({max_rows, shape.d_model})),
      dx_(at::rand({max_rows, shape.d_model})),
      qkv_(at::rand({max_rows, 3 * shape.d_model})),
      hidden_(at::rand({max_rows, shape.d_ff})),
      logits_(at::rand({max_rows, shape.vocabulary})) {}

void Products::Step(int64_t rows) {
  const at::Tensor x = x_.narrow(0, 0, rows), dx = dx_.narrow(0, 0, rows);
  const at::Tensor qkv = qkv_.narrow(0, 0, rows), hidden = hidden_.narrow(0, 0, rows);
  const at::Tensor logits = logits_.narrow(0, 0, rows);
  for (const trainer::LayerWeights& layer : weights_.layers) {
    Linear(qkv, x, layer.qkv);
    Linear(dx, x, layer.merge);
    Linear(hidden, x, layer.linear1);
    Linear(dx, hidden, layer.linear2);
  }
  Linear(logits, x, weights_.output);
  LinearWeightGrad(weight_gradients_.output, logits, x);
  LinearInputGrad(dx, logits, weights_.output);
  for (size_t i = weights_.layers.size(); i-- > 0;) {
    const trainer::LayerWeights& layer = weights_.layers[i];
    const trainer::LayerWeights& gradient = weight_gradients_.layers[i];
    LinearWeightGrad(gradient.linear2, x, hidden);
    LinearInputGrad(hidden, x, layer.linear2);
    LinearWeightGrad(gradient.linear1, hidden, x);
    AddLinearInputGrad(dx, hidden, layer.linear1);
    LinearWeightGrad(gradient.merge, dx, x);
    LinearInputGrad(dx, x, layer.merge);
    LinearWeightGrad(gradient.qkv, qkv, x);
    AddLinearInputGrad(dx, qkv, layer.qkv);
  }
}

}  // namespace coppice::bench
