#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/failure_kind.h"
#include "worker/trainer/checkpoint/checkpoint.h"
#include "worker/trainer/checkpoint/member_checkpoints.h"
#include "worker/trainer/config.h"
#include "worker/trainer/events.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/train/evaluator.h"
#include "worker/trainer/train/permutation.h"

namespace coppice::trainer {

// Shared by the members of a pack. Everything here outlives them.
struct MemberContext {
  RunConfig run;
  const Dataset* dataset = nullptr;
  const EvaluationPlan* evaluation = nullptr;
  const Probes* probes = nullptr;  // its plan is empty if the run has no probes
  const ParameterLayout* layout = nullptr;
  EventWriter* events = nullptr;
  Clock* clock = nullptr;
  const std::atomic<bool>* stop = nullptr;
  const CheckpointContext* checkpoints = nullptr;
};

enum class MemberState { kRunning, kDone, kFailed, kPreempted };

// Appends the measurements of a member's model at a report step. False: they were abandoned.
using MeasureFunction = std::function<bool(MetricValues*)>;

// Appends the norm of a member's weights; `square_sum` is the sum of their squares.
void AppendWeightNorm(double square_sum, int64_t depth, MetricValues* values);

// Trains one seed: a trajectory that is a function of the run and the seed alone. Owned by the
// engine. One thread at a time calls it; other threads may read step() and sequences().
//
// Life: 1. Restore or Initialize. 2. Advance until it no longer returns kRunning. A step boundary
// has this order: the report (metrics), the checkpoint, then the end (done), preemption or the next
// step. For a checkpoint during training only a snapshot is taken here; it is written during the
// next steps. If that fails, the member ends at the next step boundary. No checkpoint is being
// written when the end comes. A failure ends the member before its parameters are touched again,
// and leaves other members alone.
class Member {
 public:
  // `parameters`, `gradients`, `adam_m`, `adam_v`: this member's rows [1, P] of the flat buffers,
  // float32. The gradients may be undefined for a member that is never advanced. `snapshot`: see
  // MemberCheckpoints.
  Member(const MemberContext* context, MemberSpec spec, const at::Tensor& parameters,
         const at::Tensor& gradients, const at::Tensor& adam_m, const at::Tensor& adam_v,
         float* snapshot);

  void Initialize();
  // Codes of LoadCheckpoint.
  absl::Status Restore(const std::string& path);

  // Trains for about `quantum`. On return every change of state was written as an event. Does not
  // throw.
  MemberState Advance(Transformer* model, absl::Duration quantum);
  // Ends the member from outside, with a failed event.
  void Fail(FailureKind kind, absl::string_view message);
  // The same with the message of the exception that is being handled.
  void FailOfException();

  // These calls replace Advance when an accelerator trains the pack as one in its own memory:
  // Begin, then SetProgress and Settle at each step boundary at which something may be due.
  // `fetch_rows` updates rows(); it is called before they are saved.
  void Begin(std::function<void()> fetch_rows);
  void SetProgress(const MemberProgress& progress);
  // Does everything that is due at this boundary, including preemption. False: the member no longer
  // runs. `trained_until`: the end of the last step.
  bool Settle(const MeasureFunction& measure, absl::Duration trained_until);
  // Steps until something is due or the run ends; at least 1.
  int64_t StepsToBoundary() const;
  bool ReportDue() const;
  bool ProbeDue() const;
  const MemberProgress& progress() const { return progress_; }
  // For progress reports between boundaries.
  void PublishStep(int64_t step) { published_step_.store(step, std::memory_order_relaxed); }

  const MemberSpec& spec() const { return spec_; }
  MemberState state() const { return state_; }
  int64_t step() const { return published_step_.load(std::memory_order_relaxed); }
  // Sequences trained since this process began.
  int64_t sequences() const {
    return step() == 0 ? 0 : (step() - first_step_) * context_->run.train.batch_size;
  }
  // For tests that break a member's weights.
  const MemberRows& rows() const { return rows_; }

 private:
  MemberState AdvanceOrThrow(Transformer* model, absl::Duration quantum);
  // Does everything that is due at the current step boundary. False: the member no longer runs.
  // `trained_until`: the end of the last step; nullopt: now.
  bool SettleBoundary(const MeasureFunction& measure, std::optional<absl::Duration> trained_until);
  void TrainStep(Transformer* model);
  bool CheckpointDue() const;
  bool Measure(Transformer* model, MetricValues* values);
  // False: the report was abandoned or the member failed.
  bool Report(const MeasureFunction& measure, std::optional<absl::Duration> trained_until);
  bool Checkpoint();
  void Preempt();
  // False: there is a failure, and it has ended the member.
  bool Survived(const std::optional<CheckpointFailure>& failure);

  const MemberContext* context_;
  const MemberSpec spec_;
  const MemberRows rows_;
  float* const gradient_row_;  // null: see the constructor
  const Weights weights_;
  const Weights gradients_;
  const at::Tensor parameters_;
  BatchOrder order_;
  MemberBatch batch_;
  MemberProgress progress_;
  MemberState state_ = MemberState::kRunning;
  MemberCheckpoints checkpoints_;
  std::function<void()> fetch_rows_ = [] {};
  int64_t checkpointed_step_ = -1;  // step of the newest file or snapshot of exactly this state
  int64_t first_step_ = 0;
  int64_t interval_first_step_ = 0;
  absl::Duration interval_start_ = absl::ZeroDuration();
  bool started_ = false;
  std::atomic<int64_t> published_step_{0};
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_
