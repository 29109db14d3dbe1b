// All operations of the model beside matrix products, on stacked tensors. There are two
// implementations. The CPU's (cpu_ops.cc) loops over the members and calls the kernels of
// kernels.h. StackedOps (stacked/stacked_ops.h) runs one operation over all members at once.
#ifndef COPPICE_WORKER_TRAINER_MODEL_MODEL_OPS_H_
#define COPPICE_WORKER_TRAINER_MODEL_MODEL_OPS_H_

#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/trainer/model/pack_batch.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/model/prefix_tree.h"

namespace coppice::trainer {

// Tensors for the backward pass of a LayerNorm. Undefined ones are not written (inference).
struct NormState {
  at::Tensor xhat;  // [K, R, d]
  at::Tensor rstd;  // [K, R]
  at::Tensor keep;  // [K, R, KeepStride(d)] bytes
};

// Rows of the same words in two tensors of states: read in context and read alone.
// cosines[first_cosine + i] is the cosine between the two sums over words 0..i.
struct SpanChain {
  absl::Span<const int32_t> context_rows;
  absl::Span<const int32_t> alone_rows;  // as many as context_rows
  int64_t first_cosine = 0;
};

// words[k][r]: a word for each row r of each member k.
using TokenIds = std::vector<std::vector<int32_t>>;

// Shapes are those of transformer.h; K is left out when it is 1. kernels.h describes the math of
// each operation. Not thread-safe: one object per thread.
class ModelOps {
 public:
  virtual ~ModelOps() = default;

  // Comes before every other operation on a batch. Copies the batch to the device's memory, unless
  // operations read it where it is.
  virtual void Upload(int64_t heads, PackBatch* batch) = 0;

  virtual void Embed(const PackBatch& batch, const at::Tensor& table, const at::Tensor& positions,
                     const at::Tensor& x, const at::Tensor& keep) = 0;
  virtual void EmbedGrad(const PackBatch& batch, const at::Tensor& dx, const at::Tensor& keep,
                         const at::Tensor& dtable) = 0;
  // `bias` may be undefined.
  virtual void ResidualNorm(const PackBatch& batch, uint32_t site, const at::Tensor& x,
                            const at::Tensor& a, const at::Tensor& bias, const at::Tensor& gamma,
                            const at::Tensor& beta, const at::Tensor& y,
                            const NormState& state) = 0;
  // `dbias` may be undefined.
  virtual void ResidualNormGrad(const PackBatch& batch, const at::Tensor& dy, const at::Tensor& da,
                                const NormState& state, const at::Tensor& gamma,
                                const at::Tensor& dgamma, const at::Tensor& dbeta,
                                const at::Tensor& dbias) = 0;
  virtual void Relu(const PackBatch& batch, uint32_t site, const at::Tensor& bias,
                    const at::Tensor& h) = 0;
  virtual void ReluGrad(const PackBatch& batch, const at::Tensor& h, const at::Tensor& dh,
                        const at::Tensor& dbias) = 0;
  // `weights` and `dropped` [K, attention_weights]; both may be undefined for inference.
  virtual void Attention(const PackBatch& batch, uint32_t site, int64_t heads,
                         const at::Tensor& qkv, const at::Tensor& context,
                         const at::Tensor& weights, const at::Tensor& dropped) = 0;
  virtual void AttentionGrad(const PackBatch& batch, int64_t heads, const at::Tensor& qkv,
                             const at::Tensor& weights, const at::Tensor& dropped,
                             const at::Tensor& dcontext, const at::Tensor& dqkv) = 0;
  // For decoding: copies the key and value of row i of qkv [K, S, 3 d] to row cache_rows[i] of
  // `cache` [K, .., 2 d].
  virtual void StoreKeysValues(const at::Tensor& qkv, const std::vector<int64_t>& cache_rows,
                               const at::Tensor& cache) = 0;
  // The query of row i of qkv attends to lengths[i] rows of `cache`, from row first_rows[i] on.
  virtual void AttentionStep(int64_t heads, const at::Tensor& qkv, const at::Tensor& cache,
                             const std::vector<int64_t>& first_rows,
                             const std::vector<int32_t>& lengths, const at::Tensor& context) = 0;
  // Attention along the tree's paths; all K members of qkv [K, R, 3 d] share the tree. `context`
  // [K, R, d] may be undefined. The entropies are added to entropy[k][r]; the pointer may be null.
  virtual void TreeAttention(const PrefixTree& tree, int64_t heads, const at::Tensor& qkv,
                             const at::Tensor& context, double* const* entropy) = 0;
  // cosines[k]: every chain's cosines, from context [K, C, d] and alone [K, R, d].
  virtual void SpanCosines(const std::vector<SpanChain>& chains, const at::Tensor& context,
                           const at::Tensor& alone, double* const* cosines) = 0;
  // For evaluation: the candidate with the largest logit for each of the given rows of states [K,
  // R, d]. Logits are compared in float64; the first of equals wins.
  virtual TokenIds BestCandidates(const at::Tensor& states, const std::vector<int64_t>& rows,
                                  const std::vector<int32_t>& candidates, const at::Tensor& output,
                                  const at::Tensor& bias) = 0;
  // The word with the largest value of logits + bias for each row of logits [K, R, V]; the first of
  // equals wins.
  virtual TokenIds MostProbable(const at::Tensor& logits, const at::Tensor& bias) = 0;
  // sums[k] = sum over the member's rows of -log softmax(logits + bias)[target]. The logits are
  // overwritten.
  virtual void CrossEntropySums(const PackBatch& batch, const at::Tensor& bias,
                                const at::Tensor& logits, double* sums) = 0;
  // loss[k] = the mean over the member's rows. The logits become their gradient. Stacked
  // operations leave the losses in the device's memory (DeviceMember), and `loss` may be null.
  virtual void CrossEntropyGrad(const PackBatch& batch, const at::Tensor& bias,
                                const at::Tensor& logits, const at::Tensor& dbias,
                                double* loss) = 0;
};

// `dtype`: float32, or float64 for comparisons.
std::unique_ptr<ModelOps> MakeCpuOps(at::ScalarType dtype);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_MODEL_OPS_H_
