// The forward pass for inference: without dropout, and without the state of a backward pass.
#include "ATen/ops/empty.h"
#include "worker/trainer/model/matmul.h"
#include "worker/trainer/model/transformer.h"

namespace coppice::trainer {

KeyValueCache Transformer::MakeCache(const Weights& weights, int64_t slots) const {
  KeyValueCache cache;
  cache.capacity = max_length_;
  std::vector<int64_t> shape = {slots * cache.capacity, 2 * layout_.shape().d_model};
  if (weights.embedding.dim() == 3) shape.insert(shape.begin(), weights.embedding.size(0));
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer)
    cache.layers.push_back(at::empty(shape, weights.embedding.options()));
  return cache;
}

PackBatch Transformer::SameForAll(const Weights& weights, const MemberBatch& member) {
  const int64_t pack = PackWidth(weights.embedding);
  PackBatch batch;
  batch.members.assign(pack, &member);
  batch.dropout.assign(pack, Dropout());
  ops_->Upload(layout_.shape().heads, &batch);
  return batch;
}

at::Tensor Transformer::Encode(const Weights& weights, const MemberBatch& member,
                               KeyValueCache* cache) {
  const PackBatch batch = SameForAll(weights, member);
  const int64_t pack = batch.width();
  const int64_t rows = member.rows();
  const int64_t d = layout_.shape().d_model;
  std::vector<int64_t> cache_rows;
  if (cache != nullptr) {
    for (size_t slot = 0; slot < member.sequences.size(); ++slot) {
      for (int64_t t = 0; t < member.sequences[slot].length; ++t) {
        cache_rows.push_back(static_cast<int64_t>(slot) * cache->capacity + t);
      }
    }
  }
  at::Tensor x = Take(Slot::kX0, 0, pack, rows, d);
  ops_->Embed(batch, weights.embedding, positions_, x, at::Tensor());
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer) {
    const at::Tensor qkv = Take(Slot::kQkv, 0, pack, rows, 3 * d);
    const at::Tensor context = Take(Slot::kContext, 0, pack, rows, d);
    const at::Tensor y = Take(Slot::kY, 0, pack, rows, d);
    Linear(qkv, x, weights.layers[layer].qkv);
    if (cache != nullptr) ops_->StoreKeysValues(qkv, cache_rows, cache->layers[layer]);
    ops_->Attention(batch, 0, layout_.shape().heads, qkv, context, at::Tensor(), at::Tensor());
    FinishLayer(weights.layers[layer], batch, x, context, y);
    x = y;
  }
  return x;
}

at::Tensor Transformer::EncodeNext(const Weights& weights,
                                   const std::vector<std::vector<int32_t>>& tokens,
                                   const std::vector<int32_t>& positions,
                                   const std::vector<int32_t>& slots, KeyValueCache* cache) {
  MemberBatch first;
  std::vector<int64_t> first_rows, own_rows;
  std::vector<int32_t> lengths;
  for (size_t i = 0; i < slots.size(); ++i) {
    first.sequences.push_back({static_cast<int32_t>(i), 1, positions[i]});
    first_rows.push_back(slots[i] * cache->capacity);
    own_rows.push_back(first_rows.back() + positions[i]);
    lengths.push_back(positions[i] + 1);
  }
  std::vector<MemberBatch> members(tokens.size(), first);
  PackBatch batch;
  for (size_t k = 0; k < tokens.size(); ++k) {
    members[k].tokens = tokens[k];
    batch.members.push_back(&members[k]);
    batch.dropout.emplace_back();
  }
  ops_->Upload(layout_.shape().heads, &batch);
  const int64_t pack = batch.width();
  const int64_t rows = batch.rows();
  const int64_t d = layout_.shape().d_model;
  at::Tensor x = Take(Slot::kX0, 0, pack, rows, d);
  ops_->Embed(batch, weights.embedding, positions_, x, at::Tensor());
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer) {
    const at::Tensor qkv = Take(Slot::kQkv, 0, pack, rows, 3 * d);
    const at::Tensor context = Take(Slot::kContext, 0, pack, rows, d);
    const at::Tensor y = Take(Slot::kY, 0, pack, rows, d);
    Linear(qkv, x, weights.layers[layer].qkv);
    ops_->StoreKeysValues(qkv, own_rows, cache->layers[layer]);
    ops_->AttentionStep(layout_.shape().heads, qkv, cache->layers[layer], first_rows, lengths,
                        context);
    FinishLayer(weights.layers[layer], batch, x, context, y);
    x = y;
  }
  return x;
}

void Transformer::FinishLayer(const LayerWeights& weights, const PackBatch& batch,
                              const at::Tensor& x, const at::Tensor& context, const at::Tensor& y) {
  const int64_t pack = batch.width();
  const int64_t rows = x.size(-2);
  const at::Tensor a = Take(Slot::kA, 0, pack, rows, layout_.shape().d_model);
  const at::Tensor y1 = Take(Slot::kY1, 0, pack, rows, layout_.shape().d_model);
  const at::Tensor h = Take(Slot::kH, 0, pack, rows, layout_.shape().d_ff);
  Linear(a, context, weights.merge);
  ops_->ResidualNorm(batch, 0, x, a, at::Tensor(), weights.gamma1, weights.beta1, y1, NormState());
  Linear(h, y1, weights.linear1);
  ops_->Relu(batch, 0, weights.bias1, h);
  Linear(a, h, weights.linear2);
  // x was read for the last time, so y may share its memory.
  ops_->ResidualNorm(batch, 0, y1, a, weights.bias2, weights.gamma2, weights.beta2, y, NormState());
}

at::Tensor Transformer::LogitsWithoutBias(const Weights& weights, const at::Tensor& states) {
  const at::Tensor logits =
      Take(Slot::kLogits, 0, PackWidth(states), states.size(-2), layout_.shape().vocabulary);
  Linear(logits, states, weights.output);
  return logits;
}

TokenIds Transformer::MostProbable(const Weights& weights, const at::Tensor& states) {
  return ops_->MostProbable(LogitsWithoutBias(weights, states), weights.output_bias);
}

void Transformer::CrossEntropySums(const Weights& weights, const MemberBatch& member,
                                   const at::Tensor& states, double* sums) {
  const PackBatch batch = SameForAll(weights, member);
  ops_->CrossEntropySums(batch, weights.output_bias, LogitsWithoutBias(weights, states), sums);
}

}  // namespace coppice::trainer
