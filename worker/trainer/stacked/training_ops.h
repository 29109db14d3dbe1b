// The operations of a training step behind StackedOps. `Runner` is a function object that runs any
// operation of this folder, in host memory (HostRunner) or on a device.
#ifndef COPPICE_WORKER_TRAINER_STACKED_TRAINING_OPS_H_
#define COPPICE_WORKER_TRAINER_STACKED_TRAINING_OPS_H_

#include <memory>
#include <stdexcept>
#include <utility>

#include "worker/trainer/stacked/adamw.h"
#include "worker/trainer/stacked/attention.h"
#include "worker/trainer/stacked/bias_gradients.h"
#include "worker/trainer/stacked/cross_entropy.h"
#include "worker/trainer/stacked/embed_norm_relu.h"
#include "worker/trainer/stacked/scratch_memory.h"
#include "worker/trainer/stacked/stacked_ops.h"

namespace coppice::trainer {

struct HostRunner {
  template <typename Operation>
  void operator()(const Operation& operation) const {
    RunOnHost(operation);
  }
};

// inference_ops.h has the inference half of FusedOps. If inference leaves results of a training
// step undefined, they go to scratch memory.
template <typename T, typename Runner>
class TrainingOps : public StackedOps {
 public:
  TrainingOps(at::Device device, Runner run) : scratch_(device), run_(std::move(run)) {}

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
    struct Uploaded {
      at::Tensor memory;
      DevicePack pack;
    };
    auto uploaded = std::make_shared<Uploaded>();
    uploaded->memory = host.to(scratch_.device());
    char* const base = DataOf<char>(uploaded->memory);
    uploaded->pack = {members, batch->attention_weights(heads),
                      BatchAt(base + state_bytes, members, rows),
                      reinterpret_cast<DeviceMember*>(base)};
    batch->on_device = std::shared_ptr<const DevicePack>(uploaded, &uploaded->pack);
  }

  void Embed(const PackBatch& batch, const at::Tensor& table, const at::Tensor& positions,
             const at::Tensor& x, const at::Tensor& keep) override {
    const int64_t d = x.size(-1);
    run_(EmbedRow<T>{*batch.on_device, d, MemberStride(table), DataOf<T>(table),
                     DataOf<T>(positions), DataOf<T>(x), KeepOf(keep, batch, d)});
  }

  void EmbedGrad(const PackBatch& batch, const at::Tensor& dx, const at::Tensor& keep,
                 const at::Tensor& dtable) override {
    run_(EmbedGradElement<T>{*batch.on_device, dx.size(-1), dtable.size(-2), MemberStride(dtable),
                             DataOf<T>(dx), DataOf<uint8_t>(keep), DataOf<T>(dtable)});
  }

  void ResidualNorm(const PackBatch& batch, uint32_t site, const at::Tensor& x, const at::Tensor& a,
                    const at::Tensor& bias, const at::Tensor& gamma, const at::Tensor& beta,
                    const at::Tensor& y, const NormState& state) override {
    const int64_t d = x.size(-1), rows = batch.width() * batch.rows();
    run_(ResidualNormRow<T>{
        *batch.on_device, site, d, MemberStride(gamma), DataOf<T>(x), DataOf<T>(a), DataOf<T>(bias),
        DataOf<T>(gamma), DataOf<T>(beta), DataOf<T>(y),
        scratch_.template TakeUnless<T>(state.xhat, kXhat, rows * d),
        scratch_.template TakeUnless<T>(state.rstd, kRstd, rows), KeepOf(state.keep, batch, d)});
  }

  void ResidualNormGrad(const PackBatch& batch, const at::Tensor& dy, const at::Tensor& da,
                        const NormState& state, const at::Tensor& gamma, const at::Tensor& dgamma,
                        const at::Tensor& dbeta, const at::Tensor& dbias) override {
    const DevicePack& pack = *batch.on_device;
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
    run_(ReluRow<T>{*batch.on_device, site, h.size(-1), MemberStride(bias), DataOf<T>(bias),
                    DataOf<T>(h)});
  }

  void ReluGrad(const PackBatch& batch, const at::Tensor& h, const at::Tensor& dh,
                const at::Tensor& dbias) override {
    const DevicePack& pack = *batch.on_device;
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
    const DevicePack& pack = *batch.on_device;
    const int64_t v = logits.size(-1);
    double* const losses = RowLosses(batch, bias, logits);
    run_(MeanLoss{pack, losses});
    run_(SumColumn<T>{pack, v, MemberStride(dbias), DataOf<T>(logits), DataOf<T>(dbias)});
  }

  void Update(const UpdateSettings& settings, const FlatRows& rows, DeviceMember* state) override {
    const int64_t members = rows.gradients.size(0), size = rows.gradients.size(1);
    double* const sums = ChunkSums(rows.gradients);
    run_(PrepareUpdate{settings, members, SquareChunks(size), sums, state});
    run_(AdamWElement<T>{settings, members, size, state, DataOf<T>(rows.gradients),
                         DataOf<T>(rows.adam_m), DataOf<T>(rows.adam_v),
                         DataOf<T>(rows.parameters)});
  }

  at::Tensor SquareSums(const at::Tensor& x) override {
    const int64_t members = x.size(0), chunks = SquareChunks(x.size(1));
    const at::Tensor sums = at::from_blob(ChunkSums(x), {members, chunks},
                                          at::TensorOptions(at::kDouble).device(scratch_.device()));
    return sums.sum(1).to(at::kCPU);
  }

 protected:
  enum Purpose { kKeep, kXhat, kRstd, kWeights, kLosses, kSquares, kInference };

  // Each row's loss [K, R]. The logits become its gradient.
  double* RowLosses(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits) {
    double* const losses = scratch_.template Take<double>(kLosses, batch.width() * batch.rows());
    run_(CrossEntropyRow<T>{*batch.on_device, logits.size(-1), MemberStride(bias), DataOf<T>(bias),
                            DataOf<T>(logits), losses});
    return losses;
  }

  ScratchMemory scratch_;
  const Runner run_;

 private:
  uint8_t* KeepOf(const at::Tensor& keep, const PackBatch& batch, int64_t d) {
    return scratch_.template TakeUnless<uint8_t>(keep, kKeep,
                                                 batch.width() * batch.rows() * KeepStride(d));
  }

  static AttentionShape ShapeOf(const PackBatch& batch, int64_t heads, const at::Tensor& context) {
    return {*batch.on_device, heads, context.size(-1) / heads, batch.on_device->attention_weights};
  }

  // [K, SquareChunks(P)] of x [K, P], whose rows are contiguous.
  double* ChunkSums(const at::Tensor& x) {
    const int64_t members = x.size(0), size = x.size(1), chunks = SquareChunks(size);
    if (!x.is_contiguous()) throw std::invalid_argument("rows of a pack must be contiguous");
    double* const sums = scratch_.template Take<double>(kSquares, members * chunks);
    run_(SquareSumChunk<T>{members, size, chunks, DataOf<T>(x), sums});
    return sums;
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_TRAINING_OPS_H_
