#include "worker/trainer/train/member.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "c10/util/Exception.h"
#include "worker/trainer/train/runtime.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {
namespace {

FailureKind KindOf(const std::exception& error) {
  return IsOutOfMemory(error) ? FailureKind::kOutOfMemory : FailureKind::kInternal;
}

}  // namespace

void AppendWeightNorm(double square_sum, int64_t depth, MetricValues* values) {
  const double norm = std::sqrt(square_sum);
  values->emplace_back("weight_norm", norm);
  values->emplace_back("weight_norm_per_layer", norm / static_cast<double>(depth));
}

Member::Member(const PackContext* context, int64_t index, MemberSpec spec, const MemberRows& rows,
               float* snapshot)
    : context_(context),
      index_(index),
      spec_(std::move(spec)),
      rows_(rows),
      checkpoints_(context->checkpoints, spec_.seed, spec_.checkpoint_dir, snapshot) {}

void Member::Initialize() {
  InitializeParameters(*context_->layout, spec_.seed, rows_.parameters);
  for (float* moment : {rows_.adam_m, rows_.adam_v})
    std::fill_n(moment, context_->layout->row_size(), 0.0f);
}

absl::Status Member::Restore(const std::string& path) {
  for (float* row : {rows_.parameters, rows_.adam_m, rows_.adam_v})
    std::fill_n(row, context_->layout->row_size(), 0.0f);  // also the gaps between tensors
  absl::StatusOr<MemberProgress> progress =
      LoadCheckpoint(path, context_->run, spec_.seed, *context_->layout, rows_);
  if (!progress.ok()) return progress.status();
  progress_ = *progress;
  if (!ReportDue()) checkpointed_step_ = progress_.step;
  first_step_ = interval_first_step_ = progress_.step;
  published_step_.store(progress_.step, std::memory_order_relaxed);
  return absl::OkStatus();
}

void Member::Fail(FailureKind kind, absl::string_view message) {
  state_ = MemberState::kFailed;
  checkpoints_.Finish();  // its events precede the member's last one
  context_->events->Failed(spec_.seed, progress_.step, kind, message);
}

void Member::FailOfException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    Fail(FailureKind::kOutOfMemory, "out of memory");
  } catch (const c10::Error& error) {
    Fail(KindOf(error), error.what_without_backtrace());
  } catch (const std::exception& error) {
    Fail(KindOf(error), error.what());
  }
}

void Member::Begin(absl::Duration now, std::function<void()> fetch_rows) {
  fetch_rows_ = std::move(fetch_rows);
  interval_start_ = now;
}

void Member::SetProgress(const MemberProgress& progress) {
  progress_ = progress;
  PublishStep(progress.step);
}

int64_t Member::StepsToBoundary() const {
  const int64_t step = progress_.step;
  const auto to_next = [step](int64_t every) { return every - step % every; };
  return std::min({to_next(context_->run.report.every), to_next(context_->run.checkpoint.every),
                   std::max<int64_t>(context_->run.train.steps - step, 1)});
}

bool Member::Settle(const MeasureFunction& measure, std::optional<absl::Duration> trained_until) {
  if (state_ != MemberState::kRunning || !Survived(checkpoints_.failure())) return false;
  if (ReportDue() && !Report(measure, trained_until)) {
    if (state_ == MemberState::kRunning) Preempt();
    return false;
  }
  if (CheckpointDue() && !Checkpoint()) return false;
  if (progress_.step >= context_->run.train.steps) {
    state_ = MemberState::kDone;
    context_->events->Done(spec_.seed, progress_.step);
  } else if (context_->stop->load(std::memory_order_relaxed)) {
    Preempt();
  }
  return state_ == MemberState::kRunning;
}

bool Member::ReportDue() const {
  const bool report_step = progress_.step % context_->run.report.every == 0 ||
                           progress_.step == context_->run.train.steps;
  return progress_.step > 0 && report_step && progress_.reported_step != progress_.step;
}

bool Member::CheckpointDue() const {
  const bool checkpoint_step = progress_.step % context_->run.checkpoint.every == 0 ||
                               progress_.step == context_->run.train.steps;
  return progress_.step > 0 && checkpoint_step && checkpointed_step_ != progress_.step;
}

bool Member::ProbeDue() const {
  if (context_->probes->plan.empty()) return false;
  const RunConfig& run = context_->run;
  return progress_.step / run.report.every % run.report.probe_every == 0 ||
         progress_.step == run.train.steps;
}

bool Member::Report(const MeasureFunction& measure, std::optional<absl::Duration> trained_until) {
  if (!trained_until.has_value()) trained_until = context_->clock->Monotonic();
  const absl::Duration trained = *trained_until - interval_start_;
  const int64_t steps = progress_.step - interval_first_step_;
  MetricValues values;
  if (progress_.loss_steps > 0) {
    values.emplace_back("train_loss",
                        progress_.loss_sum / static_cast<double>(progress_.loss_steps));
  }
  values.emplace_back("grad_norm", progress_.grad_norm);
  values.emplace_back("learning_rate", LearningRate(context_->run.train, progress_.step - 1));
  if (!measure(&values)) return false;
  for (const auto& [name, value] : values) {
    if (std::isfinite(value)) continue;
    Fail(FailureKind::kNan, absl::StrCat(name, " is not finite"));
    return false;
  }
  // After a resume at a report step, this process has not trained yet.
  if (steps > 0 && trained > absl::ZeroDuration()) {
    values.emplace_back("sequences_per_second",
                        static_cast<double>(steps * context_->run.train.batch_size) /
                            absl::ToDoubleSeconds(trained));
  }
  context_->events->Metrics(spec_.seed, progress_.step, values);
  progress_.reported_step = progress_.step;
  // A last report between regular steps does not reset the sums. So a run that is extended later
  // reports the same numbers as one with that length from the start.
  if (progress_.step % context_->run.report.every == 0) {
    progress_.loss_sum = 0;
    progress_.loss_steps = 0;
  }
  interval_first_step_ = progress_.step;
  interval_start_ = context_->clock->Monotonic();
  return true;
}

bool Member::Checkpoint() {
  fetch_rows_();
  const bool last = progress_.step == context_->run.train.steps;
  const bool survived = Survived(last ? checkpoints_.Write(progress_, rows_)
                                      : checkpoints_.Snapshot(progress_, rows_));
  if (survived) checkpointed_step_ = progress_.step;
  return survived;
}

void Member::Preempt() {
  // There is little time left: only the current state is written, not also an older snapshot that
  // waits behind those of pack-mates.
  if (checkpoints_.Supersede()) checkpointed_step_ = -1;
  const bool written = checkpointed_step_ == progress_.step;
  if (!written) fetch_rows_();
  if (!Survived(written ? checkpoints_.Finish() : checkpoints_.Write(progress_, rows_))) return;
  state_ = MemberState::kPreempted;
  context_->events->Preempted(spec_.seed, progress_.step);
}

bool Member::Survived(const std::optional<CheckpointFailure>& failure) {
  if (failure.has_value()) Fail(failure->kind, failure->message);
  return !failure.has_value();
}

}  // namespace coppice::trainer
