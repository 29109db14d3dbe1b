#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "worker/trainer/checkpoint/checkpoint.h"
#include "worker/trainer/checkpoint/member_checkpoints.h"
#include "worker/trainer/config.h"
#include "worker/trainer/events.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/train/evaluator.h"
#include "worker/trainer/train/permutation.h"

namespace coppice::trainer {

// What the members of a pack share. Everything outlives them.
struct MemberContext {
  RunConfig run;
  const Dataset* dataset = nullptr;
  const EvaluationPlan* evaluation = nullptr;
  const Probes* probes = nullptr;  // its plan is empty when there are none
  const ParameterLayout* layout = nullptr;
  EventWriter* events = nullptr;
  Clock* clock = nullptr;
  const std::atomic<bool>* stop = nullptr;
  const CheckpointContext* checkpoints = nullptr;
};

enum class MemberState { kRunning, kDone, kFailed, kPreempted };

// One seed's training: a trajectory that is a function of the run and the seed alone. Owned by the
// engine; one thread at a time calls it, step() and sequences() may be read by others.
//
// Life: 1. Restore or Initialize. 2. Advance until it no longer returns kRunning. At a step
// boundary come, in this order: the report (metrics), the checkpoint, then the end (done),
// preemption or the next step. Of a checkpoint on the way only a snapshot is taken here; it is
// written beside the next steps, and should that fail, the member ends at the next step boundary.
// The end comes when none is being written. A failure ends the member before its parameters are
// touched again; nothing of it reaches another member.
class Member {
 public:
  // `parameters`, `gradients`, `adam_m`, `adam_v`: this member's rows [1, P] of the flat buffers,
  // float32. `snapshot`: as MemberCheckpoints has it.
  Member(const MemberContext* context, MemberSpec spec, const at::Tensor& parameters,
         const at::Tensor& gradients, const at::Tensor& adam_m, const at::Tensor& adam_v,
         float* snapshot);

  void Initialize();
  // Codes of LoadCheckpoint.
  absl::Status Restore(const std::string& path);

  // Trains for about `quantum`; every change of state was written as an event on return. Does not
  // throw.
  MemberState Advance(Transformer* model, absl::Duration quantum);
  // Ends the member from outside, with a failed event.
  void Fail(FailureKind kind, absl::string_view message);

  const MemberSpec& spec() const { return spec_; }
  MemberState state() const { return state_; }
  int64_t step() const { return published_step_.load(std::memory_order_relaxed); }
  // Trained since this process began.
  int64_t sequences() const {
    return step() == 0 ? 0 : (step() - first_step_) * context_->run.train.batch_size;
  }
  // For tests that break a member's weights.
  const MemberRows& rows() const { return rows_; }

 private:
  MemberState AdvanceOrThrow(Transformer* model, absl::Duration quantum);
  // What is due at the current step boundary; false when the member is not running any more.
  bool Settle(Transformer* model);
  void TrainStep(Transformer* model);
  bool ReportDue() const;
  bool CheckpointDue() const;
  bool ProbeDue() const;
  // Appends what is measured of the model at this step; false when it was abandoned.
  bool Measure(Transformer* model, MetricValues* values);
  // False when it was abandoned or the member failed.
  bool Report(Transformer* model);
  bool Checkpoint();
  void Preempt();
  // False: there is one, and the member has failed of it.
  bool Survived(const std::optional<CheckpointFailure>& failure);

  const MemberContext* context_;
  const MemberSpec spec_;
  const MemberRows rows_;
  float* const gradient_row_;
  const Weights weights_;
  const Weights gradients_;
  const at::Tensor parameters_;
  BatchOrder order_;
  MemberBatch batch_;
  MemberProgress progress_;
  MemberState state_ = MemberState::kRunning;
  MemberCheckpoints checkpoints_;
  int64_t checkpointed_step_ = -1;  // of the newest file or snapshot that holds exactly this state
  int64_t first_step_ = 0;
  int64_t interval_first_step_ = 0;
  absl::Duration interval_start_ = absl::ZeroDuration();
  bool started_ = false;
  std::atomic<int64_t> published_step_{0};
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_
