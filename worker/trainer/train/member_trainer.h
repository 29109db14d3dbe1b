// The training of one member on the CPU.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEMBER_TRAINER_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEMBER_TRAINER_H_

#include "ATen/core/Tensor.h"
#include "absl/time/time.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/train/member.h"
#include "worker/trainer/train/permutation.h"

namespace coppice::trainer {

// Trains one member as a pack of one, in its own rows of the buffers: a trajectory that is a
// function of the run and the seed alone. Owned by the CPU's loop; one thread at a time uses it.
class MemberTrainer {
 public:
  // `parameters`, `gradients`: the member's rows [1, P], float32. `member` outlives this.
  MemberTrainer(const PackContext* context, Member* member, const at::Tensor& parameters,
                const at::Tensor& gradients);

  // Trains for about `quantum`. On return every change of state was written as an event. A failure
  // ends the member before its parameters are touched again. Does not throw.
  void Advance(Transformer* model, absl::Duration quantum);

  const Member& member() const { return *member_; }

 private:
  void AdvanceOrThrow(Transformer* model, absl::Duration quantum);
  // From the step's batch to its update.
  void TrainStep(Transformer* model);
  // The evaluation, the probes and the weights' norm at a report step. False: it was abandoned.
  bool Measure(Transformer* model, MetricValues* values);

  const PackContext* const context_;
  Member* const member_;
  const Weights weights_;
  const Weights gradients_;
  float* const gradient_row_;
  BatchOrder order_;
  MemberBatch batch_;
  bool begun_ = false;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEMBER_TRAINER_H_
