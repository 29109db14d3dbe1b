// One seed of a pack beside its training: what is due, reports, checkpoints, the end.
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
#include "worker/trainer/base/events.h"
#include "worker/trainer/checkpoint/checkpoint.h"
#include "worker/trainer/checkpoint/member_checkpoints.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/train/evaluator.h"

namespace coppice::trainer {

// Shared by a pack's members and the loop that trains them. Everything here outlives both.
struct PackContext {
  RunConfig run;
  const Dataset* dataset = nullptr;
  const EvaluationPlan* evaluation = nullptr;
  const Probes* probes = nullptr;  // its plan is empty if the run has no probes
  const ParameterLayout* layout = nullptr;
  int64_t max_length = 0;  // of the model's positions
  int64_t threads = 1;
  // On a device: evaluate once before the first step (EngineOptions).
  bool evaluate_first = false;
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

// The bookkeeping of one seed: its progress, what is due at a step boundary, its reports,
// checkpoints and end. A loop (pack_loop.h) does the training and owns the model. Owned by the
// engine. One thread at a time calls it; other threads may read step() and sequences().
//
// Life: 1. Restore or Initialize. 2. Begin. 3. SetProgress and Settle at each step boundary at
// which something may be due, until Settle returns false. Settle has this order: the report
// (metrics), the checkpoint, the end (done), then preemption. For a checkpoint during training only
// a snapshot is taken here; it is written during the next steps. If that fails, the member ends at
// the next step boundary. No checkpoint is being written when the end comes. A failure leaves other
// members alone.
class Member {
 public:
  // `index`: the member's row in the pack's buffers. `rows`: that row of each of them. `snapshot`:
  // see MemberCheckpoints.
  Member(const PackContext* context, int64_t index, MemberSpec spec, const MemberRows& rows,
         float* snapshot);

  void Initialize();
  // Codes of LoadCheckpoint.
  absl::Status Restore(const std::string& path);

  // Training starts at the time `now`. `fetch_rows` updates rows() from the memory in which the
  // loop trains; it is called before they are saved.
  void Begin(absl::Duration now, std::function<void()> fetch_rows);
  void SetProgress(const MemberProgress& progress);
  // Does everything that is due at this boundary, including preemption. False: the member no longer
  // runs. `trained_until`: the end of the last step; nullopt: now.
  bool Settle(const MeasureFunction& measure, std::optional<absl::Duration> trained_until);
  // Ends the member from outside, with a failed event.
  void Fail(FailureKind kind, absl::string_view message);
  // The same with the message of the exception that is being handled.
  void FailOfException();

  const MemberProgress& progress() const { return progress_; }
  // Steps until something is due or the run ends; at least 1.
  int64_t StepsToBoundary() const;
  bool ReportDue() const;
  bool ProbeDue() const;
  // For progress reports between boundaries.
  void PublishStep(int64_t step) { published_step_.store(step, std::memory_order_relaxed); }

  int64_t index() const { return index_; }
  const MemberSpec& spec() const { return spec_; }
  MemberState state() const { return state_; }
  int64_t step() const { return published_step_.load(std::memory_order_relaxed); }
  // Sequences trained since this process began.
  int64_t sequences() const {
    return step() == 0 ? 0 : (step() - first_step_) * context_->run.train.batch_size;
  }
  const MemberRows& rows() const { return rows_; }

 private:
  bool CheckpointDue() const;
  // False: the report was abandoned or the member failed.
  bool Report(const MeasureFunction& measure, std::optional<absl::Duration> trained_until);
  bool Checkpoint();
  void Preempt();
  // False: there is a failure, and it has ended the member.
  bool Survived(const std::optional<CheckpointFailure>& failure);

  const PackContext* const context_;
  const int64_t index_;
  const MemberSpec spec_;
  const MemberRows rows_;
  MemberProgress progress_;
  MemberState state_ = MemberState::kRunning;
  MemberCheckpoints checkpoints_;
  std::function<void()> fetch_rows_ = [] {};
  int64_t checkpointed_step_ = -1;  // step of the newest file or snapshot of exactly this state
  int64_t first_step_ = 0;
  int64_t interval_first_step_ = 0;
  absl::Duration interval_start_ = absl::ZeroDuration();
  std::atomic<int64_t> published_step_{0};
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEMBER_H_
