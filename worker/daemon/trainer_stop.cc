#include "worker/daemon/trainer_stop.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "common/base/logging.h"

namespace coppice::worker {

absl::Duration TrainerStop::TimeWithin(absl::Duration grace) {
  return grace - std::min(grace / 4, absl::Seconds(3));
}

void TrainerStop::AskToEnd(absl::Duration within) {
  if (process_ == nullptr) return;
  if (!std::exchange(asked_, true)) process_->Signal(SIGTERM);
  const absl::Duration deadline = clock_->Monotonic() + within;
  if (deadline >= deadline_) return;
  deadline_ = deadline;
  timer_.Start(within, [this, within] {
    spdlog::warn("{}: the trainer did not stop within {} and is killed", name_,
                 absl::FormatDuration(within));
    Kill();
  });
}

void TrainerStop::Kill() {
  if (process_ != nullptr) process_->Signal(SIGKILL);
}

void TrainerStop::OnExit() {
  process_ = nullptr;
  timer_.Stop();
}

}  // namespace coppice::worker
