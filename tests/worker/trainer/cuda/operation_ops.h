// The training half of FusedOps made of the device's operations, on tensors of the host: so that
// the real model runs through them. Step and masks come from the device's member state, not from
// the PackBatch. The inference half fails the test.
#ifndef COPPICE_TESTS_WORKER_TRAINER_CUDA_OPERATION_OPS_H_
#define COPPICE_TESTS_WORKER_TRAINER_CUDA_OPERATION_OPS_H_

#include <stdexcept>
#include <vector>

#include "worker/trainer/cuda/attention.h"
#include "worker/trainer/cuda/columns.h"
#include "worker/trainer/cuda/loss.h"
#include "worker/trainer/cuda/rows.h"
#include "worker/trainer/model/fused_ops.h"

namespace coppice::trainer {

template <typename T>
class OperationOps : public FusedOps {
 public:
  explicit OperationOps(std::vector<DeviceMember>* state) : state_(state) {}

  void Embed(const PackBatch& batch, const at::Tensor& table, const at::Tensor& positions,
             const at::Tensor& x, const at::Tensor& keep) override {
    RunOnHost(EmbedRow<T>{PackOf(batch), x.size(-1), Stride(table), Data(table), Data(positions),
                          Data(x), Bytes(keep)});
  }

  void EmbedGrad(const PackBatch& batch, const at::Tensor& dx, const at::Tensor& keep,
                 const at::Tensor& dtable) override {
    RunOnHost(EmbedGradElement<T>{PackOf(batch), dx.size(-1), dtable.size(-2), Stride(dtable),
                                  Data(dx), Bytes(keep), Data(dtable)});
  }

  void ResidualNorm(const PackBatch& batch, uint32_t site, const at::Tensor& x, const at::Tensor& a,
                    const at::Tensor& bias, const at::Tensor& gamma, const at::Tensor& beta,
                    const at::Tensor& y, const NormState& state) override {
    RunOnHost(ResidualNormRow<T>{PackOf(batch), site, x.size(-1), Stride(gamma), Data(x), Data(a),
                                 Data(bias), Data(gamma), Data(beta), Data(y), Data(state.xhat),
                                 Data(state.rstd), Bytes(state.keep)});
  }

  void ResidualNormGrad(const PackBatch& batch, const at::Tensor& dy, const at::Tensor& da,
                        const NormState& state, const at::Tensor& gamma, const at::Tensor& dgamma,
                        const at::Tensor& dbeta, const at::Tensor& dbias) override {
    const DevicePack pack = PackOf(batch);
    const int64_t d = dy.size(-1);
    RunOnHost(NormGradColumn<T>{pack, d, Stride(dgamma), Data(dy), Data(state.xhat), Data(dgamma),
                                Data(dbeta)});
    RunOnHost(ResidualNormGradRow<T>{pack, d, Stride(gamma), Data(dy), Data(da), Data(state.xhat),
                                     Data(state.rstd), Bytes(state.keep), Data(gamma)});
    if (dbias.defined()) RunOnHost(SumColumn<T>{pack, d, Stride(dbias), Data(da), Data(dbias)});
  }

  void Relu(const PackBatch& batch, uint32_t site, const at::Tensor& bias,
            const at::Tensor& h) override {
    RunOnHost(ReluRow<T>{PackOf(batch), site, h.size(-1), Stride(bias), Data(bias), Data(h)});
  }

  void ReluGrad(const PackBatch& batch, const at::Tensor& h, const at::Tensor& dh,
                const at::Tensor& dbias) override {
    const DevicePack pack = PackOf(batch);
    RunOnHost(ReluGradRow<T>{pack, h.size(-1), Data(h), Data(dh)});
    RunOnHost(SumColumn<T>{pack, h.size(-1), Stride(dbias), Data(dh), Data(dbias)});
  }

  void Attention(const PackBatch& batch, uint32_t site, int64_t heads, const at::Tensor& qkv,
                 const at::Tensor& context, const at::Tensor& weights,
                 const at::Tensor& dropped) override {
    RunOnHost(AttentionRow<T>{ShapeOf(batch, heads, context, weights), site, Data(qkv),
                              Data(context), Data(weights), Data(dropped)});
  }

  void AttentionGrad(const PackBatch& batch, int64_t heads, const at::Tensor& qkv,
                     const at::Tensor& weights, const at::Tensor& dropped,
                     const at::Tensor& dcontext, const at::Tensor& dqkv) override {
    const AttentionShape shape = ShapeOf(batch, heads, dcontext, weights);
    std::vector<T> dscores(weights.numel());
    RunOnHost(AttentionScoreGradRow<T>{shape, Data(qkv), Data(weights), Data(dropped),
                                       Data(dcontext), dscores.data(), Data(dqkv)});
    RunOnHost(AttentionKeyGradRow<T>{shape, Data(qkv), Data(dropped), Data(dcontext),
                                     dscores.data(), Data(dqkv)});
  }

  void CrossEntropyGrad(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits,
                        const at::Tensor& dbias, double* loss) override {
    const DevicePack pack = PackOf(batch);
    const int64_t v = logits.size(-1);
    std::vector<double> losses(pack.members * pack.batch.rows);
    RunOnHost(CrossEntropyRow<T>{pack, v, Stride(bias), Data(bias), Data(logits), losses.data()});
    RunOnHost(MeanLoss{pack, losses.data()});
    RunOnHost(SumColumn<T>{pack, v, Stride(dbias), Data(logits), Data(dbias)});
    for (int64_t k = 0; k < pack.members; ++k) loss[k] = (*state_)[k].loss;
  }

  void StoreKeysValues(const at::Tensor&, const std::vector<int64_t>&, const at::Tensor&) override {
    Refuse();
  }
  void AttentionStep(int64_t, const at::Tensor&, const at::Tensor&, const std::vector<int64_t>&,
                     const std::vector<int32_t>&, const at::Tensor&) override {
    Refuse();
  }
  void TreeAttention(const PrefixTree&, int64_t, const at::Tensor&, const at::Tensor&,
                     double* const*) override {
    Refuse();
  }
  void SpanCosines(const std::vector<SpanChain>&, const at::Tensor&, const at::Tensor&,
                   double* const*) override {
    Refuse();
  }

 private:
  [[noreturn]] static void Refuse() { throw std::logic_error("only a training step runs here"); }

  // Laid out anew by each call: what the batch says and nothing else.
  DevicePack PackOf(const PackBatch& batch, int64_t heads = 1) {
    const int64_t members = static_cast<int64_t>(batch.members.size()), rows = batch.rows();
    places_.resize(members * rows);
    tokens_.resize(members * rows);
    targets_.resize(members * rows);
    counts_.clear();
    for (int64_t k = 0; k < members; ++k) {
      LayOut(*batch.members[k], heads, rows, &places_[k * rows], &tokens_[k * rows],
             &targets_[k * rows]);
      counts_.push_back(batch.members[k]->rows());
    }
    return {members,
            {rows, counts_.data(), places_.data(), tokens_.data(), targets_.data()},
            state_->data()};
  }
  AttentionShape ShapeOf(const PackBatch& batch, int64_t heads, const at::Tensor& context,
                         const at::Tensor& weights) {
    return {PackOf(batch, heads), heads, context.size(-1) / heads, weights.size(-2)};
  }

  static T* Data(const at::Tensor& tensor) {
    return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
  }
  static uint8_t* Bytes(const at::Tensor& tensor) { return tensor.data_ptr<uint8_t>(); }
  // Between two members of a weight; of a single one nobody asks.
  static int64_t Stride(const at::Tensor& weight) { return weight.stride(0); }

  std::vector<DeviceMember>* const state_;
  std::vector<RowPlace> places_;
  std::vector<int32_t> tokens_, targets_;
  std::vector<int64_t> counts_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_CUDA_OPERATION_OPS_H_
