// The operations of evaluation and probes behind StackedOps.
#ifndef COPPICE_WORKER_TRAINER_STACKED_INFERENCE_OPS_H_
#define COPPICE_WORKER_TRAINER_STACKED_INFERENCE_OPS_H_

#include <algorithm>
#include <vector>

#include "ATen/ops/add.h"
#include "ATen/ops/argmax.h"
#include "ATen/ops/index_copy.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/zeros.h"
#include "worker/trainer/stacked/path_attention.h"
#include "worker/trainer/stacked/span_cosines.h"
#include "worker/trainer/stacked/training_ops.h"

namespace coppice::trainer {

template <typename T, typename Runner>
class OperationOps final : public TrainingOps<T, Runner> {
  using Base = TrainingOps<T, Runner>;
  using Base::run_;
  using Base::scratch_;

 public:
  using Base::Base;

  void StoreKeysValues(const at::Tensor& qkv, const std::vector<int64_t>& cache_rows,
                       const at::Tensor& cache) override {
    const int64_t width = cache.size(-1);  // 2 d
    cache.index_copy_(-2, LongIndex(cache_rows), qkv.narrow(-1, qkv.size(-1) - width, width));
  }

  void AttentionStep(int64_t heads, const at::Tensor& qkv, const at::Tensor& cache,
                     const std::vector<int64_t>& first_rows, const std::vector<int32_t>& lengths,
                     const at::Tensor& context) override {
    PathLists lists;
    lists.longest = *std::max_element(lengths.begin(), lengths.end());
    lists.lengths = lengths;
    lists.seen.resize(lengths.size() * lists.longest);
    for (size_t r = 0; r < lengths.size(); ++r) {
      for (int32_t j = 0; j < lengths[r]; ++j)
        lists.seen[r * lists.longest + j] = static_cast<int32_t>(first_rows[r] + j);
    }
    const int64_t members = PackWidthOf(qkv);
    RunPaths(lists, qkv, heads, DataOf<T>(cache), cache.size(-1),
             members == 1 ? 0 : cache.stride(0), DataOf<T>(context), at::Tensor());
  }

  void TreeAttention(const PrefixTree& tree, int64_t heads, const at::Tensor& qkv,
                     const at::Tensor& context, double* const* entropy) override {
    const int64_t members = PackWidthOf(qkv), rows = tree.rows(), width = qkv.size(-1);
    at::Tensor sums;
    if (entropy != nullptr)
      sums = at::zeros({members, rows}, at::TensorOptions(at::kDouble).device(scratch_.device()));
    RunPaths(PathsOf(tree), qkv, heads, DataOf<T>(qkv) + width / 3, width,
             members == 1 ? 0 : qkv.stride(0), DataOf<T>(context), sums);
    if (entropy == nullptr) return;
    const at::Tensor host = sums.to(at::kCPU);
    for (int64_t k = 0; k < members; ++k) {
      for (int64_t r = 0; r < rows; ++r) entropy[k][r] += DataOf<double>(host)[k * rows + r];
    }
  }

  TokenIds BestCandidates(const at::Tensor& states, const std::vector<int64_t>& rows,
                          const std::vector<int32_t>& candidates, const at::Tensor& output,
                          const at::Tensor& bias) override {
    const at::Tensor words = LongIndex({candidates.begin(), candidates.end()});
    const at::Tensor read = at::index_select(states, -2, LongIndex(rows)).to(at::kDouble);
    const at::Tensor columns = at::index_select(output, -2, words).to(at::kDouble);
    const at::Tensor biases = at::index_select(bias, -1, words).to(at::kDouble);
    const at::Tensor logits =
        at::add(at::matmul(read, columns.transpose(-2, -1)), biases.unsqueeze(-2));
    TokenIds best = LargestOf(logits);
    for (std::vector<int32_t>& member : best) {
      for (int32_t& word : member) word = candidates[word];
    }
    return best;
  }

  TokenIds MostProbable(const at::Tensor& logits, const at::Tensor& bias) override {
    return LargestOf(at::add(logits, bias.unsqueeze(-2)));
  }

  void CrossEntropySums(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits,
                        double* sums) override {
    const at::Tensor losses =
        at::from_blob(this->RowLosses(batch, bias, logits), {batch.width(), batch.rows()},
                      at::TensorOptions(at::kDouble).device(scratch_.device()));
    const at::Tensor host = losses.sum(1).to(at::kCPU);
    std::copy_n(DataOf<double>(host), batch.width(), sums);
  }

  void SpanCosines(const std::vector<SpanChain>& chains, const at::Tensor& context,
                   const at::Tensor& alone, double* const* cosines) override {
    std::vector<ChainPlace> places;
    std::vector<int32_t> context_rows, alone_rows;
    for (const SpanChain& chain : chains) {
      const auto first = static_cast<int64_t>(alone_rows.size());
      places.push_back({first, static_cast<int64_t>(chain.alone_rows.size())});
      context_rows.insert(context_rows.end(), chain.context_rows.begin(), chain.context_rows.end());
      alone_rows.insert(alone_rows.end(), chain.alone_rows.begin(), chain.alone_rows.end());
    }
    const int64_t members = PackWidthOf(alone), d = alone.size(-1);
    const auto count = static_cast<int64_t>(chains.size());
    const auto words = static_cast<int64_t>(alone_rows.size());
    const at::Tensor device_places = Uploaded(places, scratch_.device());
    const at::Tensor device_context_rows = Uploaded(context_rows, scratch_.device());
    const at::Tensor device_alone_rows = Uploaded(alone_rows, scratch_.device());
    const at::Tensor results =
        at::empty({members, words}, at::TensorOptions(at::kDouble).device(scratch_.device()));
    run_(SpanCosineChain<T>{
        members, count, words, d, DataOf<ChainPlace>(device_places),
        DataOf<int32_t>(device_context_rows), DataOf<int32_t>(device_alone_rows),
        DataOf<T>(context), MemberStride(context), DataOf<T>(alone), MemberStride(alone),
        scratch_.template Take<T>(kSpanSums, members * count * 2 * d), DataOf<double>(results)});
    const at::Tensor host = results.to(at::kCPU);
    for (int64_t k = 0; k < members; ++k) {
      const double* const from = DataOf<double>(host) + k * words;
      for (size_t c = 0; c < chains.size(); ++c) {
        std::copy_n(from + places[c].first, places[c].length, cosines[k] + chains[c].first_cosine);
      }
    }
  }

 private:
  enum { kSpanSums = Base::kInference };

  struct PathLists {
    int64_t longest = 0;
    std::vector<int32_t> seen;     // [R, longest]
    std::vector<int32_t> lengths;  // [R]
  };

  static int64_t PackWidthOf(const at::Tensor& matrix) {
    return matrix.dim() == 2 ? 1 : matrix.size(0);
  }

  // Each row's ancestors and itself, root first.
  static PathLists PathsOf(const PrefixTree& tree) {
    PathLists lists;
    lists.longest = tree.longest();
    lists.seen.resize(tree.rows() * lists.longest);
    lists.lengths.resize(tree.rows());
    for (int64_t r = 0; r < tree.rows(); ++r) {
      int32_t* const path = &lists.seen[r * lists.longest];
      const int32_t parent = tree.parents()[r];
      // A parent precedes its children, so its path is already complete.
      const int32_t above = parent < 0 ? 0 : lists.lengths[parent];
      if (parent >= 0) std::copy_n(&lists.seen[parent * lists.longest], above, path);
      path[above] = static_cast<int32_t>(r);
      lists.lengths[r] = above + 1;
    }
    return lists;
  }

  // The index of the largest element in each row of x [K, R, n]; the first of equals wins.
  static TokenIds LargestOf(const at::Tensor& x) {
    const at::Tensor host = at::argmax(x, -1).to(at::kCPU);
    const int64_t members = PackWidthOf(x), rows = x.size(-2);
    TokenIds words;
    for (int64_t k = 0; k < members; ++k) {
      const int64_t* const from = DataOf<int64_t>(host) + k * rows;
      words.emplace_back(from, from + rows);
    }
    return words;
  }

  // Copies into a tensor of its own, because `rows` may be a temporary.
  at::Tensor LongIndex(const std::vector<int64_t>& rows) const {
    const at::Tensor index = at::empty({static_cast<int64_t>(rows.size())}, at::kLong);
    std::copy(rows.begin(), rows.end(), DataOf<int64_t>(index));
    return index.to(scratch_.device());
  }

  // The entropies are added to `entropy` [K, R], which may be undefined.
  void RunPaths(const PathLists& lists, const at::Tensor& qkv, int64_t heads, const T* keys,
                int64_t key_stride, int64_t key_member_stride, T* context,
                const at::Tensor& entropy) {
    const int64_t members = PackWidthOf(qkv);
    const auto rows = static_cast<int64_t>(lists.lengths.size());
    const at::Tensor seen = Uploaded(lists.seen, scratch_.device());
    const at::Tensor lengths = Uploaded(lists.lengths, scratch_.device());
    const Paths paths{rows, lists.longest, DataOf<int32_t>(seen), DataOf<int32_t>(lengths)};
    T* const weights =
        scratch_.template Take<T>(Base::kWeights, members * rows * heads * lists.longest);
    run_(PathAttentionRow<T>{paths, members, heads, qkv.size(-1) / 3 / heads, DataOf<T>(qkv), keys,
                             key_stride, key_member_stride, context, weights});
    if (!entropy.defined()) return;
    run_(PathEntropyRow<T>{paths, members, heads, weights, DataOf<double>(entropy)});
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_INFERENCE_OPS_H_
