#include "worker/trainer/model/transformer.h"

#include <cmath>
#include <utility>

#include "ATen/ops/arange.h"
#include "ATen/ops/as_strided.h"
#include "ATen/ops/cos.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/exp.h"
#include "ATen/ops/sin.h"
#include "ATen/ops/stack.h"
#include "c10/core/TensorOptions.h"
#include "worker/trainer/model/kernels.h"
#include "worker/trainer/model/matmul.h"

namespace coppice::trainer {

Weights Weights::View(const at::Tensor& flat, const ParameterLayout& layout) {
  const int64_t pack = flat.size(0);
  const int64_t row = flat.stride(0);
  const ModelShape& shape = layout.shape();
  const int64_t d = shape.d_model, f = shape.d_ff, v = shape.vocabulary;
  auto matrix = [&](int64_t offset, int64_t m, int64_t n) {
    const int64_t at = flat.storage_offset() + offset;
    return pack == 1 ? at::as_strided(flat, {m, n}, {n, 1}, at)
                     : at::as_strided(flat, {pack, m, n}, {row, n, 1}, at);
  };
  auto vector = [&](int64_t offset, int64_t n) {
    const int64_t at = flat.storage_offset() + offset;
    return pack == 1 ? at::as_strided(flat, {n}, {1}, at)
                     : at::as_strided(flat, {pack, n}, {row, 1}, at);
  };
  Weights weights;
  weights.embedding = matrix(layout.embedding(), v, d);
  weights.output = matrix(layout.output(), v, d);
  weights.output_bias = vector(layout.output_bias(), v);
  for (const LayerOffsets& at : layout.layers()) {
    weights.layers.push_back({matrix(at.qkv, 3 * d, d), matrix(at.merge, d, d),
                              matrix(at.linear1, f, d), vector(at.bias1, f),
                              matrix(at.linear2, d, f), vector(at.bias2, d), vector(at.gamma1, d),
                              vector(at.beta1, d), vector(at.gamma2, d), vector(at.beta2, d)});
  }
  return weights;
}

at::Tensor SinusoidalPositions(int64_t positions, int64_t d_model, at::ScalarType dtype) {
  const double exponent = -std::log(10000.0) / static_cast<double>(d_model);
  const at::Tensor frequencies =
      at::exp(at::arange(0, d_model, 2, at::dtype(at::kFloat)).mul(exponent));
  const at::Tensor angles =
      at::arange(0, positions, at::dtype(at::kFloat)).unsqueeze(1).mul(frequencies);
  return at::stack({at::sin(angles), at::cos(angles)}, 2).view({positions, d_model}).to(dtype);
}

Transformer::Transformer(const ParameterLayout& layout, int64_t max_length, at::ScalarType dtype,
                         std::unique_ptr<ModelOps> ops, at::Device device)
    : layout_(layout),
      max_length_(max_length),
      dtype_(dtype),
      device_(device),
      ops_(std::move(ops)),
      scratch_(static_cast<size_t>(Slot::kCount) * layout.shape().depth),
      states_(layout.shape().depth) {
  positions_ = SinusoidalPositions(max_length, layout.shape().d_model, dtype).to(device);
}

at::Tensor Transformer::TakeAs(Slot slot, int64_t layer, int64_t pack, int64_t rows, int64_t width,
                               at::ScalarType dtype) {
  at::Tensor& buffer = scratch_[static_cast<size_t>(slot) * layout_.shape().depth + layer];
  const int64_t count = pack * rows * width;
  // A quarter more than needed, so that a slightly longer batch does not allocate again.
  if (!buffer.defined() || buffer.numel() < count)
    buffer = at::empty({count + count / 4}, at::dtype(dtype).device(device_));
  if (pack == 1) return at::as_strided(buffer, {rows, width}, {width, 1});
  return at::as_strided(buffer, {pack, rows, width}, {rows * width, width, 1});
}

at::Tensor Transformer::Take(Slot slot, int64_t layer, int64_t pack, int64_t rows, int64_t width) {
  return TakeAs(slot, layer, pack, rows, width, dtype_);
}

at::Tensor Transformer::TakeBytes(Slot slot, int64_t layer, int64_t pack, int64_t rows,
                                  int64_t width) {
  return TakeAs(slot, layer, pack, rows, width, at::kByte);
}

void Transformer::LossAndGradients(const Weights& weights, const Weights& gradients,
                                   const PackBatch& batch, double* loss) {
  const int64_t pack = batch.width();
  const int64_t rows = batch.rows();
  Forward(weights, batch);
  const at::Tensor& states = states_.back().y;
  const at::Tensor logits = Take(Slot::kLogits, 0, pack, rows, layout_.shape().vocabulary);
  Linear(logits, states, weights.output);
  ops_->CrossEntropyGrad(batch, weights.output_bias, logits, gradients.output_bias, loss);
  LinearWeightGrad(gradients.output, logits, states);
  const at::Tensor dx = Take(Slot::kDx, 0, pack, rows, layout_.shape().d_model);
  LinearInputGrad(dx, logits, weights.output);
  for (int64_t layer = layout_.shape().depth - 1; layer >= 0; --layer) {
    BackwardLayer(weights, gradients, batch, layer, dx);
  }
  ops_->EmbedGrad(batch, dx, keep0_, gradients.embedding);
}

void Transformer::Forward(const Weights& weights, const PackBatch& batch) {
  const int64_t pack = batch.width();
  const int64_t d = layout_.shape().d_model;
  x0_ = Take(Slot::kX0, 0, pack, batch.rows(), d);
  keep0_ = TakeBytes(Slot::kKeep0, 0, pack, batch.rows(), KeepStride(d));
  ops_->Embed(batch, weights.embedding, positions_, x0_, keep0_);
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer)
    ForwardLayer(weights, batch, layer);
}

void Transformer::ForwardLayer(const Weights& all, const PackBatch& batch, int64_t layer) {
  const LayerWeights& weights = all.layers[layer];
  LayerState& state = states_[layer];
  const int64_t pack = batch.width();
  const int64_t rows = batch.rows();
  const int64_t d = layout_.shape().d_model;
  const int64_t heads = layout_.shape().heads;
  const at::Tensor& x = layer == 0 ? x0_ : states_[layer - 1].y;
  const at::Tensor a = Take(Slot::kA, 0, pack, rows, d);

  state.qkv = Take(Slot::kQkv, layer, pack, rows, 3 * d);
  state.weights = Take(Slot::kWeights, layer, pack, batch.attention_weights(heads), 1);
  state.dropped = Take(Slot::kDropped, layer, pack, batch.attention_weights(heads), 1);
  state.context = Take(Slot::kContext, layer, pack, rows, d);
  state.norm1 = {Take(Slot::kXhat1, layer, pack, rows, d), Take(Slot::kRstd1, layer, pack, rows, 1),
                 TakeBytes(Slot::kKeep1, layer, pack, rows, KeepStride(d))};
  state.norm2 = {Take(Slot::kXhat2, layer, pack, rows, d), Take(Slot::kRstd2, layer, pack, rows, 1),
                 TakeBytes(Slot::kKeep2, layer, pack, rows, KeepStride(d))};
  state.y1 = Take(Slot::kY1, layer, pack, rows, d);
  state.h = Take(Slot::kH, layer, pack, rows, layout_.shape().d_ff);
  state.y = Take(Slot::kY, layer, pack, rows, d);

  Linear(state.qkv, x, weights.qkv);
  ops_->Attention(batch, SiteNumber(DropoutSite::kAttention, layer), heads, state.qkv,
                  state.context, state.weights, state.dropped);
  Linear(a, state.context, weights.merge);
  ops_->ResidualNorm(batch, SiteNumber(DropoutSite::kAttentionResidual, layer), x, a, at::Tensor(),
                     weights.gamma1, weights.beta1, state.y1, state.norm1);
  Linear(state.h, state.y1, weights.linear1);
  ops_->Relu(batch, SiteNumber(DropoutSite::kHidden, layer), weights.bias1, state.h);
  Linear(a, state.h, weights.linear2);
  ops_->ResidualNorm(batch, SiteNumber(DropoutSite::kFeedForwardResidual, layer), state.y1, a,
                     weights.bias2, weights.gamma2, weights.beta2, state.y, state.norm2);
}

// dx is the gradient of the layer's result on entry, and of its input on return.
void Transformer::BackwardLayer(const Weights& all_weights, const Weights& all_gradients,
                                const PackBatch& batch, int64_t layer, const at::Tensor& dx) {
  const LayerWeights& weights = all_weights.layers[layer];
  const LayerWeights& gradients = all_gradients.layers[layer];
  const LayerState& state = states_[layer];
  const int64_t pack = batch.width();
  const int64_t rows = batch.rows();
  const int64_t d = layout_.shape().d_model;
  const at::Tensor& x = layer == 0 ? x0_ : states_[layer - 1].y;
  const at::Tensor da = Take(Slot::kDa, 0, pack, rows, d);
  const at::Tensor dh = Take(Slot::kDh, 0, pack, rows, layout_.shape().d_ff);
  const at::Tensor dcontext = Take(Slot::kDcontext, 0, pack, rows, d);
  const at::Tensor dqkv = Take(Slot::kDqkv, 0, pack, rows, 3 * d);

  ops_->ResidualNormGrad(batch, dx, da, state.norm2, weights.gamma2, gradients.gamma2,
                         gradients.beta2, gradients.bias2);
  LinearWeightGrad(gradients.linear2, da, state.h);
  LinearInputGrad(dh, da, weights.linear2);
  ops_->ReluGrad(batch, state.h, dh, gradients.bias1);
  LinearWeightGrad(gradients.linear1, dh, state.y1);
  AddLinearInputGrad(dx, dh, weights.linear1);

  ops_->ResidualNormGrad(batch, dx, da, state.norm1, weights.gamma1, gradients.gamma1,
                         gradients.beta1, at::Tensor());
  LinearWeightGrad(gradients.merge, da, state.context);
  LinearInputGrad(dcontext, da, weights.merge);
  ops_->AttentionGrad(batch, layout_.shape().heads, state.qkv, state.weights, state.dropped,
                      dcontext, dqkv);
  LinearWeightGrad(gradients.qkv, dqkv, x);
  AddLinearInputGrad(dx, dqkv, weights.qkv);
}

}  // namespace coppice::trainer
