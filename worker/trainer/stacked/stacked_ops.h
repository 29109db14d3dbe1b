// The model's operations on a device: each runs over the rows of all members at once.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_OPS_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_OPS_H_

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "ATen/ops/add.h"
#include "ATen/ops/argmax.h"
#include "ATen/ops/index_copy.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/zeros.h"
#include "worker/trainer/model/model_ops.h"
#include "worker/trainer/model/weights.h"
#include "worker/trainer/stacked/attention.h"
#include "worker/trainer/stacked/bias_gradients.h"
#include "worker/trainer/stacked/cross_entropy.h"
#include "worker/trainer/stacked/embed_norm_relu.h"
#include "worker/trainer/stacked/path_attention.h"
#include "worker/trainer/stacked/path_lists.h"
#include "worker/trainer/stacked/scratch_memory.h"
#include "worker/trainer/stacked/span_cosines.h"

namespace coppice::trainer {

// `Runner` is a function object that runs any operation of this folder: HostRunner (lanes.h) in
// host memory, StreamRunner (cuda/cuda_device.cc) on a CUDA device. Tensors are in that memory.
// Functions enqueue work and do not wait, except those that return numbers to the host. Where
// inference leaves results of a training step undefined, they go to scratch memory.
//
// A captured step needs its scratch memory to stay in place. So the largest shapes must come first:
// scratch memory moves only when it grows.
template <typename T, typename Runner>
class StackedOps final : public ModelOps {
 public:
  StackedOps(at::Device device, Runner run) : scratch_(device), run_(std::move(run)) {}

  void Upload(int64_t heads, PackBatch* batch) override {
    const int64_t members = batch->width(), rows = batch->rows();
    const int64_t state_bytes = members * static_cast<int64_t>(sizeof(DeviceMember));
    at::Tensor host =
        at::empty({state_bytes + BatchBytes(members, rows)}, at::TensorOptions(at::kByte));
    auto* states = DataOf<DeviceMember>(host);
    for (int64_t k = 0; k < members; ++k) {
      new (&states[k]) DeviceMember();
      states[k].dropout = batch->dropout[k];
    }
    LayOut(batch->members, heads, rows, DataOf<char>(host) + state_bytes);
    struct Copied {
      at::Tensor memory;
      DevicePack pack;
    };
    auto copied = std::make_shared<Copied>();
    copied->memory = host.to(scratch_.device());
    char* const base = DataOf<char>(copied->memory);
    copied->pack = {members, batch->attention_weights(heads),
                    BatchAt(base + state_bytes, members, rows),
                    reinterpret_cast<DeviceMember*>(base)};
    batch->on_device = CopyOf(std::shared_ptr<const DevicePack>(copied, &copied->pack));
  }

  void Embed(const PackBatch& batch, const at::Tensor& table, const at::Tensor& positions,
             const at::Tensor& x, const at::Tensor& keep) override {
    const int64_t d = x.size(-1);
    run_(EmbedRow<T>{*batch.on_device.pack, d, MemberStride(table), DataOf<T>(table),
                     DataOf<T>(positions), DataOf<T>(x), KeepOf(keep, batch, d)});
  }

  void EmbedGrad(const PackBatch& batch, const at::Tensor& dx, const at::Tensor& keep,
                 const at::Tensor& dtable) override {
    run_(EmbedGradElement<T>{*batch.on_device.pack, dx.size(-1), dtable.size(-2),
                             MemberStride(dtable), DataOf<T>(dx), DataOf<uint8_t>(keep),
                             DataOf<T>(dtable)});
  }

  void ResidualNorm(const PackBatch& batch, uint32_t site, const at::Tensor& x, const at::Tensor& a,
                    const at::Tensor& bias, const at::Tensor& gamma, const at::Tensor& beta,
                    const at::Tensor& y, const NormState& state) override {
    const int64_t d = x.size(-1), rows = batch.width() * batch.rows();
    run_(ResidualNormRow<T>{
        *batch.on_device.pack, site, d, MemberStride(gamma), DataOf<T>(x), DataOf<T>(a),
        DataOf<T>(bias), DataOf<T>(gamma), DataOf<T>(beta), DataOf<T>(y),
        scratch_.template TakeUnless<T>(state.xhat, kXhat, rows * d),
        scratch_.template TakeUnless<T>(state.rstd, kRstd, rows), KeepOf(state.keep, batch, d)});
  }

  void ResidualNormGrad(const PackBatch& batch, const at::Tensor& dy, const at::Tensor& da,
                        const NormState& state, const at::Tensor& gamma, const at::Tensor& dgamma,
                        const at::Tensor& dbeta, const at::Tensor& dbias) override {
    const DevicePack& pack = *batch.on_device.pack;
    const int64_t d = dy.size(-1);
    run_(NormGradColumn<T>{pack, d, MemberStride(dgamma), DataOf<T>(dy), DataOf<T>(state.xhat),
                           DataOf<T>(dgamma), DataOf<T>(dbeta)});
    run_(ResidualNormGradRow<T>{pack, d, MemberStride(gamma), DataOf<T>(dy), DataOf<T>(da),
                                DataOf<T>(state.xhat), DataOf<T>(state.rstd),
                                DataOf<uint8_t>(state.keep), DataOf<T>(gamma)});
    if (!dbias.defined()) return;
    run_(SumColumn<T>{pack, d, MemberStride(dbias), DataOf<T>(da), DataOf<T>(dbias)});
  }

  void Relu(const PackBatch& batch, uint32_t site, const at::Tensor& bias,
            const at::Tensor& h) override {
    run_(ReluRow<T>{*batch.on_device.pack, site, h.size(-1), MemberStride(bias), DataOf<T>(bias),
                    DataOf<T>(h)});
  }

  void ReluGrad(const PackBatch& batch, const at::Tensor& h, const at::Tensor& dh,
                const at::Tensor& dbias) override {
    const DevicePack& pack = *batch.on_device.pack;
    const int64_t f = h.size(-1);
    run_(ReluGradRow<T>{pack, f, DataOf<T>(h), DataOf<T>(dh)});
    run_(SumColumn<T>{pack, f, MemberStride(dbias), DataOf<T>(dh), DataOf<T>(dbias)});
  }

  void Attention(const PackBatch& batch, uint32_t site, int64_t heads, const at::Tensor& qkv,
                 const at::Tensor& context, const at::Tensor& weights,
                 const at::Tensor& dropped) override {
    const AttentionShape shape = ShapeOf(batch, heads, context);
    const int64_t count = shape.pack.members * shape.weight_stride;
    T* const kept = scratch_.template TakeUnless<T>(weights, kWeights, count);
    run_(AttentionRow<T>{shape, site, DataOf<T>(qkv), DataOf<T>(context), kept,
                         dropped.defined() ? DataOf<T>(dropped) : kept});
  }

  void AttentionGrad(const PackBatch& batch, int64_t heads, const at::Tensor& qkv,
                     const at::Tensor& weights, const at::Tensor& dropped,
                     const at::Tensor& dcontext, const at::Tensor& dqkv) override {
    const AttentionShape shape = ShapeOf(batch, heads, dcontext);
    T* const dscores = scratch_.template Take<T>(kWeights, weights.numel());
    run_(AttentionScoreGradRow<T>{shape, DataOf<T>(qkv), DataOf<T>(weights), DataOf<T>(dropped),
                                  DataOf<T>(dcontext), dscores, DataOf<T>(dqkv)});
    run_(AttentionKeyGradRow<T>{shape, DataOf<T>(qkv), DataOf<T>(dropped), DataOf<T>(dcontext),
                                dscores, DataOf<T>(dqkv)});
  }

  void CrossEntropyGrad(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits,
                        const at::Tensor& dbias, double*) override {
    const DevicePack& pack = *batch.on_device.pack;
    const int64_t v = logits.size(-1);
    double* const losses = RowLosses(batch, bias, logits);
    run_(MeanLoss{pack, losses});
    run_(SumColumn<T>{pack, v, MemberStride(dbias), DataOf<T>(logits), DataOf<T>(dbias)});
  }

  void StoreKeysValues(const at::Tensor& qkv, const std::vector<int64_t>& cache_rows,
                       const at::Tensor& cache) override {
    const int64_t width = cache.size(-1);  // 2 d
    cache.index_copy_(-2, LongIndex(cache_rows), qkv.narrow(-1, qkv.size(-1) - width, width));
  }

  void AttentionStep(int64_t heads, const at::Tensor& qkv, const at::Tensor& cache,
                     const std::vector<int64_t>& first_rows, const std::vector<int32_t>& lengths,
                     const at::Tensor& context) override {
    const PathLists lists = CachePaths(first_rows, lengths);
    const int64_t members = PackWidth(qkv);
    RunPaths(lists, qkv, heads, DataOf<T>(cache), cache.size(-1),
             members == 1 ? 0 : cache.stride(0), DataOf<T>(context), at::Tensor());
  }

  void TreeAttention(const PrefixTree& tree, int64_t heads, const at::Tensor& qkv,
                     const at::Tensor& context, double* const* entropy) override {
    const int64_t members = PackWidth(qkv), rows = tree.rows(), width = qkv.size(-1);
    at::Tensor sums;
    if (entropy != nullptr)
      sums = at::zeros({members, rows}, at::TensorOptions(at::kDouble).device(scratch_.device()));
    RunPaths(TreePaths(tree), qkv, heads, DataOf<T>(qkv) + width / 3, width,
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
        at::from_blob(RowLosses(batch, bias, logits), {batch.width(), batch.rows()},
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
    const int64_t members = PackWidth(alone), d = alone.size(-1);
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
  enum Purpose { kKeep, kXhat, kRstd, kWeights, kLosses, kSpanSums };

  // Each row's loss [K, R]. The logits become its gradient.
  double* RowLosses(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits) {
    double* const losses = scratch_.template Take<double>(kLosses, batch.width() * batch.rows());
    run_(CrossEntropyRow<T>{*batch.on_device.pack, logits.size(-1), MemberStride(bias),
                            DataOf<T>(bias), DataOf<T>(logits), losses});
    return losses;
  }

  uint8_t* KeepOf(const at::Tensor& keep, const PackBatch& batch, int64_t d) {
    return scratch_.template TakeUnless<uint8_t>(keep, kKeep,
                                                 batch.width() * batch.rows() * KeepStride(d));
  }

  static AttentionShape ShapeOf(const PackBatch& batch, int64_t heads, const at::Tensor& context) {
    return {*batch.on_device.pack, heads, context.size(-1) / heads,
            batch.on_device.attention_weights};
  }

  // The index of the largest element in each row of x [K, R, n]; the first of equals wins.
  static TokenIds LargestOf(const at::Tensor& x) {
    const at::Tensor host = at::argmax(x, -1).to(at::kCPU);
    const int64_t members = PackWidth(x), rows = x.size(-2);
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
    const int64_t members = PackWidth(qkv);
    const auto rows = static_cast<int64_t>(lists.lengths.size());
    const at::Tensor seen = Uploaded(lists.seen, scratch_.device());
    const at::Tensor lengths = Uploaded(lists.lengths, scratch_.device());
    const Paths paths{rows, lists.longest, DataOf<int32_t>(seen), DataOf<int32_t>(lengths)};
    T* const weights = scratch_.template Take<T>(kWeights, members * rows * heads * lists.longest);
    run_(PathAttentionRow<T>{paths, members, heads, qkv.size(-1) / 3 / heads, DataOf<T>(qkv), keys,
                             key_stride, key_member_stride, context, weights});
    if (!entropy.defined()) return;
    run_(PathEntropyRow<T>{paths, members, heads, weights, DataOf<double>(entropy)});
  }

  ScratchMemory scratch_;
  const Runner run_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_OPS_H_
