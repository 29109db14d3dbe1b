// The language model of docs/science.md: a decoder-only post-LN transformer. Forward and backward
// passes are hand-written (no autograd).
#ifndef COPPICE_WORKER_TRAINER_MODEL_TRANSFORMER_H_
#define COPPICE_WORKER_TRAINER_MODEL_TRANSFORMER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/trainer/model/model_ops.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/model/weights.h"

namespace coppice::trainer {

// Keys and values of earlier positions, for decoding one word at a time. In each layer, position t
// of slot s is row s * capacity + t, laid out [per head (k, v)]. Transformer::MakeCache makes it.
struct KeyValueCache {
  int64_t capacity = 0;            // positions a slot can hold
  std::vector<at::Tensor> layers;  // [K, slots * capacity, 2 d] each
};

// The sinusoidal position table [positions, d_model] in CPU memory: sine in even columns, cosine in
// odd ones. As in the released code, LibTorch's own exp, sin and cos compute it in float32, also
// for a float64 model. Correctly rounded functions would differ in the last bit.
at::Tensor SinusoidalPositions(int64_t positions, int64_t d_model, at::ScalarType dtype);

// x = LN(x + drop(attention(x))); x = LN(x + drop(W2 drop(relu(W1 x + b1)) + b2)), then logits = Wo
// x + bo (Vaswani et al. 2017, section 3; Murty et al. 2023, appendix).
//
// Holds no weights, only scratch memory that grows to the largest batch. Not thread-safe: one
// object per thread. The pack width K is that of the given weights and batches. LibTorch's errors
// leave as c10::Error.
class Transformer {
 public:
  // Sequences, SOS included, have at most `max_length` tokens. dtype: float32, or float64 for
  // comparisons. Weights, results and scratch memory are on `device`, for which `ops` was made.
  Transformer(const ParameterLayout& layout, int64_t max_length, at::ScalarType dtype,
              std::unique_ptr<ModelOps> ops, at::Device device = at::kCPU);

  const ParameterLayout& layout() const { return layout_; }
  int64_t max_length() const { return max_length_; }

  // loss[k] = member k's mean cross-entropy over its rows (see ModelOps::CrossEntropyGrad).
  // `gradients` are overwritten with its gradients; the gaps of the flat row are not touched.
  void LossAndGradients(const Weights& weights, const Weights& gradients, const PackBatch& batch,
                        double* loss);

  // Inference without dropout; all K members read the same batch. Returns the final layer's states
  // [K, R, d], in scratch memory that is valid until the next call. With `cache`, the keys and
  // values of sequence b are also stored in slot b.
  at::Tensor Encode(const Weights& weights, const MemberBatch& batch,
                    KeyValueCache* cache = nullptr);
  // Final states [K, S, d] of one more word per slot. Member k's word tokens[k][i] is at position
  // positions[i] of slot slots[i]. The cache holds the slot's earlier positions; the word's keys
  // and values are added to it.
  at::Tensor EncodeNext(const Weights& weights, const std::vector<std::vector<int32_t>>& tokens,
                        const std::vector<int32_t>& positions, const std::vector<int32_t>& slots,
                        KeyValueCache* cache);
  // Inference without dropout over a prefix tree that the pack's K members share. Returns final
  // states [K, R, d], in scratch memory like that of Encode. entropy[k][r], if not null, becomes
  // the entropy in nats of row r's attention: of the heads' average over the rows that it sees,
  // averaged over layers.
  at::Tensor EncodeTree(const Weights& weights, const PrefixTree& tree,
                        double* const* entropy = nullptr);
  // The attention entropies alone, as the released code of Murty et al. computes them: every layer
  // reads the embeddings, not the states of the layer below.
  void EmbeddingAttentionEntropy(const Weights& weights, const PrefixTree& tree,
                                 double* const* entropy);
  // See ModelOps.
  void SpanCosines(const std::vector<SpanChain>& chains, const at::Tensor& context,
                   const at::Tensor& alone, double* const* cosines) {
    ops_->SpanCosines(chains, context, alone, cosines);
  }
  // states · Woᵀ [K, R, V]; the output bias is not added.
  at::Tensor LogitsWithoutBias(const Weights& weights, const at::Tensor& states);
  // Reading the final states [K, R, d]: see ModelOps.
  TokenIds BestCandidates(const Weights& weights, const at::Tensor& states,
                          const std::vector<int64_t>& rows,
                          const std::vector<int32_t>& candidates) {
    return ops_->BestCandidates(states, rows, candidates, weights.output, weights.output_bias);
  }
  TokenIds MostProbable(const Weights& weights, const at::Tensor& states);
  // sums[k]: the summed cross-entropy of the batch's rows, given their states.
  void CrossEntropySums(const Weights& weights, const MemberBatch& batch, const at::Tensor& states,
                        double* sums);
  KeyValueCache MakeCache(const Weights& weights, int64_t slots) const;

 private:
  // Results of the forward pass that a layer's backward pass needs.
  struct LayerState {
    at::Tensor qkv, weights, dropped, context, y1, h, y;
    NormState norm1, norm2;
  };
  // The uses of scratch memory. Each has one buffer, or one per layer if the backward pass needs
  // all layers.
  enum class Slot : int {
    kX0,
    kKeep0,
    kQkv,
    kWeights,
    kDropped,
    kContext,
    kA,
    kXhat1,
    kRstd1,
    kKeep1,
    kY1,
    kH,
    kXhat2,
    kRstd2,
    kKeep2,
    kY,
    kLogits,
    kDistinctX,
    kDistinctQkv,
    kDx,
    kDa,
    kDh,
    kDqkv,
    kDcontext,
    kCount
  };

  void Forward(const Weights& weights, const PackBatch& batch);
  void ForwardLayer(const Weights& weights, const PackBatch& batch, int64_t layer);
  void BackwardLayer(const Weights& weights, const Weights& gradients, const PackBatch& batch,
                     int64_t layer, const at::Tensor& dx);
  // For inference: the part of a layer after its attention, from x and the heads' context to the
  // layer's result y.
  void FinishLayer(const LayerWeights& weights, const PackBatch& batch, const at::Tensor& x,
                   const at::Tensor& context, const at::Tensor& y);
  // The same batch for each of the pack's members, without dropout.
  PackBatch SameForAll(const Weights& weights, const MemberBatch& member);
  // Embeddings [K, R, d] of words without a sequence. `batch` presents them as sequences of one row
  // each to operations that treat every row separately; `rows` holds the data that the batch points
  // to.
  at::Tensor EmbedRows(const Weights& weights, Slot slot, const std::vector<int32_t>& tokens,
                       const std::vector<int32_t>& positions, MemberBatch* rows, PackBatch* batch);
  // The first layer's q, k and v [K, R, 3 d]. They depend only on a word and its position. A tree
  // has few such pairs: each is computed once and copied to its rows.
  void FirstProjections(const Weights& weights, const PrefixTree& tree, const at::Tensor& qkv);
  void AverageOverLayers(int64_t pack, int64_t rows, double* const* entropy) const;
  // A dense tensor [K, rows, width] (K left out when it is 1) in the scratch memory of (slot,
  // layer).
  at::Tensor Take(Slot slot, int64_t layer, int64_t pack, int64_t rows, int64_t width);
  at::Tensor TakeBytes(Slot slot, int64_t layer, int64_t pack, int64_t rows, int64_t width);
  at::Tensor TakeAs(Slot slot, int64_t layer, int64_t pack, int64_t rows, int64_t width,
                    at::ScalarType dtype);

  const ParameterLayout layout_;
  const int64_t max_length_;
  const at::ScalarType dtype_;
  const at::Device device_;
  const std::unique_ptr<ModelOps> ops_;
  at::Tensor positions_;  // [max_length, d]
  std::vector<at::Tensor> scratch_;
  std::vector<LayerState> states_;
  at::Tensor x0_, keep0_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_TRANSFORMER_H_
