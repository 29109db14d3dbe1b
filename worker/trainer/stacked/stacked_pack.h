// A pack's state and its training step in a device's memory.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_PACK_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_PACK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/trainer/checkpoint/checkpoint.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/stacked/stacked_device.h"

namespace coppice::trainer {

struct StackedPackOptions {
  int64_t members = 0;       // K
  int64_t largest_rows = 0;  // of the largest batch of a member
  int64_t longest = 0;       // sequence of a training batch, SOS included
  int64_t max_length = 0;    // of the model's positions
  at::ScalarType dtype = at::kFloat;
};

// Holds the four flat buffers [K, P], each member's DeviceMember and the memory for one step's
// batches. A step (forward, backward and update of all members) reads and writes only these, so it
// is captured once for each bucket. Products are of stacked matrices, or plain ones when K is 1.
//
// The constructor runs the largest bucket once without effect, which allocates all memory. Only one
// thread uses this, after it has entered the device.
class StackedPack {
 public:
  StackedPack(const StackedDevice* device, const ParameterLayout& layout, const RunConfig& run,
              const StackedPackOptions& options);

  // Copy a member's rows from host memory and to it.
  void Upload(int64_t k, const MemberRows& rows);
  void Download(int64_t k, const MemberRows& rows) const;
  void SetMembers(const std::vector<DeviceMember>& members);
  // Waits for all enqueued steps.
  std::vector<DeviceMember> Members() const;
  // Copies the states to `host`, of MembersBytes(), after the steps enqueued so far. Does not wait.
  int64_t MembersBytes() const { return members_.numel(); }
  void EnqueueMembers(const at::Tensor& host) const { at::Tensor(host).copy_(members_, true); }

  // The bytes in host memory of a batch of the largest bucket.
  int64_t SlotBytes() const;
  // Enqueues the copy of a batch and its step. LayOut wrote the batch for `rows` rows, those of a
  // bucket.
  void Step(const at::Tensor& slot, int64_t rows);

  // [K, P]
  const at::Tensor& parameters() const { return rows_.parameters; }
  // The sum of squares of each row of these weights [.., P], in float64, in host memory.
  at::Tensor SquareSums(const at::Tensor& x) { return optimizer_->SquareSums(x); }

 private:
  // The pack for a step: the real one, or an idle one that changes nothing.
  std::shared_ptr<const DevicePack> PackAt(const at::Tensor& batch, const at::Tensor& members,
                                           int64_t rows) const;
  void RunStep(const std::shared_ptr<const DevicePack>& pack);

  const ParameterLayout layout_;
  const StackedPackOptions options_;
  const int64_t largest_bucket_;
  const int64_t heads_;
  const UpdateSettings update_;
  FlatRows rows_;
  at::Tensor members_, idle_members_;  // DeviceMember [K]
  at::Tensor batch_, idle_batch_;      // of the largest bucket
  Weights weights_, gradients_;
  std::unique_ptr<Transformer> model_;
  std::unique_ptr<PackOptimizer> optimizer_;
  std::unique_ptr<StepGraphs> graphs_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_PACK_H_
