#include "worker/daemon/attempt_ending.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "worker/daemon/attempt_records.h"

namespace coppice::worker {
namespace {

v1::Release Lost() {
  v1::Release cause;
  cause.mutable_lost();
  return cause;
}

}  // namespace

void AttemptEnding::OnStep(uint32_t step) { step_ = std::max(step_, step); }

void AttemptEnding::OnCheckpoint(const v1::CheckpointRecord& checkpoint) {
  OnStep(checkpoint.step());
  checkpoint_step_ = checkpoint.step();
  last_checkpoint_ = checkpoint;
}

void AttemptEnding::Complete(uint32_t step) {
  if (open()) Report(CompletionRecord(step));
}

void AttemptEnding::Fail(uint32_t step, FailureKind kind, absl::string_view message,
                         absl::string_view log_tail) {
  if (open()) Report(FailureRecord(step, kind, message, log_tail));
}

void AttemptEnding::Release(absl::string_view reason, v1::Release cause) {
  if (open()) Report(ReleaseRecord(checkpoint_step_, reason, std::move(cause)));
}

void AttemptEnding::FailUnlessDamaged(const File& file, uint32_t step, absl::string_view message,
                                      absl::string_view log_tail) {
  if (!open()) return;
  Verify(file, FailureRecord(step, FailureKind::kCheckpoint, message, log_tail),
         "the checkpoint it resumes from was damaged after it was checked", [] {});
}

void AttemptEnding::OnRefused(const v1::AttemptRecord& record, const absl::Status& status) {
  if (final()) return;
  const std::string reason =
      absl::StrCat("the coordinator refused ", NameOf(record), ": ", status.message());
  spdlog::error("{}: {}", ToString(key_), reason);
  if (record.has_failed() || record.has_released()) return Finish(State::kEnded);
  if (record.has_completed() && absl::IsFailedPrecondition(status) && last_checkpoint_ &&
      last_checkpoint_->step() == record.completed().step()) {
    // If the file is intact here, the coordinator sees another folder than this worker. A setting
    // is wrong, every attempt would end like this, and the failure is charged. A file that was
    // damaged between writing and its record (a crash of this machine, its disk) is the fault of
    // neither.
    return Verify({hooks_.path_of(*last_checkpoint_), last_checkpoint_->digest()},
                  FailureRecord(step_, FailureKind::kInternal, reason, ""),
                  "its last checkpoint was damaged before it was committed",
                  [this, reason] { hooks_.on_refused(reason); });
  }
  Report(FailureRecord(step_, FailureKind::kInternal, reason, ""));
  hooks_.on_refused(reason);
}

void AttemptEnding::Verify(const File& file, v1::AttemptRecord if_intact,
                           const std::string& if_damaged, std::function<void()> on_intact) {
  state_ = State::kVerifying;
  hooks_.verify(
      file, [this, if_intact = std::move(if_intact), if_damaged, on_intact = std::move(on_intact),
             verification = ++verification_](const absl::Status& status) {
        if (state_ != State::kVerifying || verification != verification_) return;
        if (absl::IsNotFound(status) || absl::IsDataLoss(status)) {
          return Report(ReleaseRecord(checkpoint_step_,
                                      absl::StrCat(if_damaged, ": ", status.message()), Lost()));
        }
        Report(if_intact);
        on_intact();
      });
}

void AttemptEnding::Report(v1::AttemptRecord ending) {
  state_ = State::kEnding;
  hooks_.report(std::move(ending));
}

void AttemptEnding::OnEndingTaken() {
  if (state_ == State::kEnding) Finish(State::kEnded);
}

void AttemptEnding::OnOver(const std::string& reason) {
  if (final()) return;
  state_ = State::kLost;
  hooks_.on_lost(reason);
  Finish(State::kLost);
}

void AttemptEnding::Abandon() {
  if (!final()) Finish(State::kLost);
}

void AttemptEnding::Finish(State state) {
  state_ = state;
  hooks_.on_final();
}

}  // namespace coppice::worker
