#include "worker/trainer/train/member.h"

#include <cmath>
#include <new>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "c10/util/Exception.h"
#include "worker/trainer/model/kernels.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {

Member::Member(const MemberContext* context, MemberSpec spec, const at::Tensor& parameters,
               const at::Tensor& gradients, const at::Tensor& adam_m, const at::Tensor& adam_v,
               float* snapshot)
    : context_(context),
      spec_(std::move(spec)),
      rows_{parameters.data_ptr<float>(), adam_m.data_ptr<float>(), adam_v.data_ptr<float>()},
      gradient_row_(gradients.data_ptr<float>()),
      weights_(Weights::View(parameters, *context->layout)),
      gradients_(Weights::View(gradients, *context->layout)),
      parameters_(parameters),
      order_(spec_.seed, static_cast<int32_t>(context->dataset->train.examples.size()),
             static_cast<int32_t>(context->run.train.batch_size)),
      checkpoints_(context->checkpoints, spec_.seed, spec_.checkpoint_dir, snapshot) {}

void Member::Initialize() { InitializeParameters(*context_->layout, spec_.seed, rows_.parameters); }

absl::Status Member::Restore(const std::string& path) {
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
  checkpoints_.Finish();  // what it tells comes before the member's last word
  context_->events->Failed(spec_.seed, progress_.step, kind, message);
}

MemberState Member::Advance(Transformer* model, absl::Duration quantum) {
  try {
    return AdvanceOrThrow(model, quantum);
  } catch (const std::bad_alloc&) {
    Fail(FailureKind::kOutOfMemory, "out of memory");
  } catch (const c10::Error& error) {
    // LibTorch reports a failed allocation as a plain error; the text is all there is to tell it
    // by.
    const std::string message = error.what_without_backtrace();
    const bool memory = absl::StrContains(message, "allocate memory") ||
                        absl::StrContains(message, "out of memory");
    Fail(memory ? FailureKind::kOutOfMemory : FailureKind::kInternal, message);
  } catch (const std::exception& error) {
    Fail(FailureKind::kInternal, error.what());
  }
  return state_;
}

MemberState Member::AdvanceOrThrow(Transformer* model, absl::Duration quantum) {
  const absl::Duration begin = context_->clock->Monotonic();
  if (!started_) {
    started_ = true;
    interval_start_ = begin;
  }
  while (Settle(model)) {
    if (context_->stop->load(std::memory_order_relaxed)) {
      Preempt();
    } else if (context_->clock->Monotonic() - begin >= quantum) {
      break;
    } else {
      TrainStep(model);
    }
  }
  return state_;
}

bool Member::Settle(Transformer* model) {
  if (state_ != MemberState::kRunning || !Survived(checkpoints_.failure())) return false;
  if (ReportDue() && !Report(model)) {
    if (state_ == MemberState::kRunning) Preempt();
    return false;
  }
  if (CheckpointDue() && !Checkpoint()) return false;
  if (progress_.step < context_->run.train.steps) return true;
  state_ = MemberState::kDone;
  context_->events->Done(spec_.seed, progress_.step);
  return false;
}

void Member::TrainStep(Transformer* model) {
  const Split& train = context_->dataset->train;
  const Vocabulary& vocabulary = context_->dataset->vocabulary;
  const int32_t* indices = order_.Batch(progress_.step);
  batch_.Clear();
  for (int64_t i = 0; i < context_->run.train.batch_size; ++i) {
    const Example& example = train.examples[indices[i]];
    batch_.Append(example.tokens.data(), static_cast<int32_t>(example.tokens.size()),
                  vocabulary.sos(), vocabulary.eos());
  }
  const PackBatch pack{{&batch_},
                       {Dropout::For(spec_.seed, progress_.step, context_->run.model.dropout)}};
  double loss = 0;
  model->LossAndGradients(weights_, gradients_, pack, &loss);
  if (!std::isfinite(loss)) return Fail(FailureKind::kNan, "the training loss is not finite");
  const double norm = ClippedAdamW<float>(
      context_->run.train, progress_.step,
      {context_->layout->row_size(), gradient_row_, rows_.adam_m, rows_.adam_v, rows_.parameters});
  if (!std::isfinite(norm)) return Fail(FailureKind::kNan, "the gradient norm is not finite");
  ++progress_.step;
  progress_.loss_sum += loss;
  ++progress_.loss_steps;
  progress_.grad_norm = norm;
  published_step_.store(progress_.step, std::memory_order_relaxed);
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

bool Member::Measure(Transformer* model, MetricValues* values) {
  if (!Evaluate(*context_->evaluation, weights_, model, *context_->stop, values)) return false;
  if (ProbeDue()) {
    const absl::Duration begin = context_->clock->Monotonic();
    if (!MeasureProbes(*context_->probes, weights_, model, *context_->stop, values)) return false;
    values->emplace_back("probe_seconds",
                         absl::ToDoubleSeconds(context_->clock->Monotonic() - begin));
  }
  const double norm =
      std::sqrt(GetKernels<float>().square_sum(context_->layout->row_size(), rows_.parameters));
  values->emplace_back("weight_norm", norm);
  values->emplace_back("weight_norm_per_layer", norm / static_cast<double>(context_->run.depth));
  return true;
}

bool Member::Report(Transformer* model) {
  const absl::Duration trained = context_->clock->Monotonic() - interval_start_;
  const int64_t steps = progress_.step - interval_first_step_;
  MetricValues values;
  if (progress_.loss_steps > 0) {
    values.emplace_back("train_loss",
                        progress_.loss_sum / static_cast<double>(progress_.loss_steps));
  }
  values.emplace_back("grad_norm", progress_.grad_norm);
  values.emplace_back("learning_rate", LearningRate(context_->run.train, progress_.step - 1));
  if (!Measure(model, &values)) return false;
  for (const auto& [name, value] : values) {
    if (std::isfinite(value)) continue;
    Fail(FailureKind::kNan, absl::StrCat(name, " is not finite"));
    return false;
  }
  // After a resume that lands on a report step nothing was trained in this process.
  if (steps > 0 && trained > absl::ZeroDuration()) {
    values.emplace_back("sequences_per_second",
                        static_cast<double>(steps * context_->run.train.batch_size) /
                            absl::ToDoubleSeconds(trained));
  }
  context_->events->Metrics(spec_.seed, progress_.step, values);
  progress_.reported_step = progress_.step;
  // A last report off the regular steps leaves the sums alone: a run that is later extended then
  // reports the same numbers as one that was that long from the start.
  if (progress_.step % context_->run.report.every == 0) {
    progress_.loss_sum = 0;
    progress_.loss_steps = 0;
  }
  interval_first_step_ = progress_.step;
  interval_start_ = context_->clock->Monotonic();
  return true;
}

bool Member::Checkpoint() {
  const bool last = progress_.step == context_->run.train.steps;
  const bool survived = Survived(last ? checkpoints_.Write(progress_, rows_)
                                      : checkpoints_.Snapshot(progress_, rows_));
  if (survived) checkpointed_step_ = progress_.step;
  return survived;
}

void Member::Preempt() {
  // There is little time left: what is written is the state of now, and not also an older one that
  // waits behind those of pack-mates.
  if (checkpoints_.Supersede()) checkpointed_step_ = -1;
  const bool written = checkpointed_step_ == progress_.step;
  if (!Survived(written ? checkpoints_.Finish() : checkpoints_.Write(progress_, rows_))) return;
  state_ = MemberState::kPreempted;
  context_->events->Preempted(spec_.seed, progress_.step);
}

bool Member::Survived(const std::optional<CheckpointFailure>& failure) {
  if (failure.has_value()) Fail(failure->kind, failure->message);
  return !failure.has_value();
}

}  // namespace coppice::trainer
