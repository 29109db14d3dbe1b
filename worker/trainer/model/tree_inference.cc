// The forward pass over a prefix tree, for the probes.
#include <algorithm>
#include <utility>
#include <vector>

#include "ATen/ops/from_blob.h"
#include "ATen/ops/index_select.h"
#include "absl/container/flat_hash_map.h"
#include "worker/trainer/model/matmul.h"
#include "worker/trainer/model/transformer.h"

namespace coppice::trainer {
namespace {

// The distinct pairs of word and position among a tree's rows.
struct DistinctRows {
  explicit DistinctRows(const PrefixTree& tree) {
    absl::flat_hash_map<std::pair<int32_t, int32_t>, int64_t> found;
    for (int64_t r = 0; r < tree.rows(); ++r) {
      const auto [at, added] = found.try_emplace({tree.tokens()[r], tree.positions()[r]}, rows());
      if (added) {
        tokens.push_back(tree.tokens()[r]);
        positions.push_back(tree.positions()[r]);
      }
      of_row.push_back(at->second);
    }
  }

  int64_t rows() const { return static_cast<int64_t>(tokens.size()); }

  std::vector<int32_t> tokens, positions;
  std::vector<int64_t> of_row;  // index of each tree row's pair
};

}  // namespace

at::Tensor Transformer::EmbedRows(const Weights& weights, Slot slot,
                                  const std::vector<int32_t>& tokens,
                                  const std::vector<int32_t>& positions, MemberBatch* rows,
                                  PackBatch* batch) {
  rows->tokens = tokens;
  for (size_t r = 0; r < tokens.size(); ++r)
    rows->sequences.push_back({static_cast<int32_t>(r), 1, positions[r]});
  *batch = SameForAll(weights, *rows);
  const at::Tensor x = Take(slot, 0, batch->width(), rows->rows(), layout_.shape().d_model);
  ops_->Embed(*batch, weights.embedding, positions_, x, at::Tensor());
  return x;
}

void Transformer::FirstProjections(const Weights& weights, const PrefixTree& tree,
                                   const at::Tensor& qkv) {
  DistinctRows distinct(tree);
  MemberBatch single_rows;
  PackBatch batch;
  const at::Tensor x = EmbedRows(weights, Slot::kDistinctX, distinct.tokens, distinct.positions,
                                 &single_rows, &batch);
  const at::Tensor projected = Take(Slot::kDistinctQkv, 0, PackWidth(weights.embedding),
                                    distinct.rows(), 3 * layout_.shape().d_model);
  Linear(projected, x, weights.layers[0].qkv);
  const at::Tensor index =
      at::from_blob(distinct.of_row.data(), {tree.rows()}, at::kLong).to(device_);
  at::Tensor gathered = qkv;
  at::index_select_out(gathered, projected, -2, index);
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
  at::Tensor x =
      EmbedRows(weights, Slot::kX0, tree.tokens(), tree.positions(), &single_rows, &batch);
  const int64_t pack = PackWidth(weights.embedding);
  const int64_t rows = tree.rows();
  const int64_t d = layout_.shape().d_model;
  for (int64_t k = 0; entropy != nullptr && k < pack; ++k) std::fill_n(entropy[k], rows, 0.0);
  for (int64_t layer = 0; layer < layout_.shape().depth; ++layer) {
    const at::Tensor qkv = Take(Slot::kQkv, 0, pack, rows, 3 * d);
    const at::Tensor context = Take(Slot::kContext, 0, pack, rows, d);
    const at::Tensor y = Take(Slot::kY, 0, pack, rows, d);
    if (layer == 0) {
      FirstProjections(weights, tree, qkv);
    } else {
      Linear(qkv, x, weights.layers[layer].qkv);
    }
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
  const at::Tensor x =
      EmbedRows(weights, Slot::kX0, tree.tokens(), tree.positions(), &single_rows, &batch);
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
