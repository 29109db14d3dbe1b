// The forward pass over a prefix tree, for the probes.
#include <algorithm>

#include "worker/trainer/model/matmul.h"
#include "worker/trainer/model/transformer.h"

namespace coppice::trainer {

at::Tensor Transformer::EmbedTree(const Weights& weights, const PrefixTree& tree, MemberBatch* rows,
                                  PackBatch* batch) {
  rows->tokens = tree.tokens();
  for (int64_t r = 0; r < tree.rows(); ++r)
    rows->sequences.push_back({static_cast<int32_t>(r), 1, tree.positions()[r]});
  const int64_t pack = PackWidth(weights.embedding);
  batch->members.assign(pack, rows);
  batch->dropout.assign(pack, Dropout());
  const at::Tensor x = Take(Slot::kX0, 0, pack, tree.rows(), layout_.shape().d_model);
  ops_->Embed(*batch, weights.embedding, positions_, x, at::Tensor());
  return x;
}

void Transformer::AverageOverLayers(int64_t pack, int64_t rows, double* const* entropy) const {
  for (int64_t k = 0; k < pack; ++k) {
    for (int64_t r = 0; r < rows; ++r) entropy[k][r] /= static_cast<double>(layout_.shape().depth);
  }
}

at::Tensor Transformer::EncodeTree(const Weights& weights, const PrefixTree& tree,
                                   double* const* entropy) {
  MemberBatch single_rows;
  PackBatch batch;
  at::Tensor x = EmbedTree(weights, tree, &single_rows, &batch);
  const int64_t pack = PackWidth(weights.embedding);
  const int64_t rows = tree.rows();
  const int64_t d = layout_.shape().d_model;
  for (int64_t k = 0; entropy != nullptr && k < pack; ++k) std::fill_n(entropy[k], rows, 0.0);
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer) {
    const at::Tensor qkv = Take(Slot::kQkv, 0, pack, rows, 3 * d);
    const at::Tensor context = Take(Slot::kContext, 0, pack, rows, d);
    const at::Tensor y = Take(Slot::kY, 0, pack, rows, d);
    Linear(qkv, x, weights.layers[layer].qkv);
    ops_->TreeAttention(tree, layout_.shape().heads, qkv, context, entropy);
    FinishLayer(weights.layers[layer], batch, x, context, y);
    x = y;
  }
  if (entropy != nullptr) AverageOverLayers(pack, rows, entropy);
  return x;
}

void Transformer::EmbeddingAttentionEntropy(const Weights& weights, const PrefixTree& tree,
                                            double* const* entropy) {
  MemberBatch single_rows;
  PackBatch batch;
  const at::Tensor x = EmbedTree(weights, tree, &single_rows, &batch);
  const int64_t pack = PackWidth(weights.embedding);
  for (int64_t k = 0; k < pack; ++k) std::fill_n(entropy[k], tree.rows(), 0.0);
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer) {
    const at::Tensor qkv = Take(Slot::kQkv, 0, pack, tree.rows(), 3 * layout_.shape().d_model);
    Linear(qkv, x, weights.layers[layer].qkv);
    ops_->TreeAttention(tree, layout_.shape().heads, qkv, at::Tensor(), entropy);
  }
  AverageOverLayers(pack, tree.rows(), entropy);
}

}  // namespace coppice::trainer
