#include "cli/follow.h"

#include <unistd.h>

#include "cli/sweep_view.h"

namespace coppice::cli {
namespace {

constexpr absl::Duration kRedraw = absl::Milliseconds(100);
// Changes of single jobs are lines in a pipe as long as a person could read them.
constexpr uint64_t kMaxJobsToTell = 2'000;

}  // namespace

void SweepFollower::Start(SweepModel model) {
  model_ = std::move(model);
  if (!terminal_.interactive && !started_) TellProgress();
  started_ = true;
  Draw(true);
}

void SweepFollower::Update(const v1::WatchSweepResponse& update) {
  const SweepModel::Change change = model_.Apply(update);
  if (!started_) return;
  if (terminal_.interactive) {
    Draw(!change.is_job);
    return;
  }
  if (change.is_job && model_.summary().jobs() <= kMaxJobsToTell) {
    const std::string line = ChangeLine(change);
    if (!line.empty()) out_ << line << std::endl;
  } else if (!change.is_job) {
    TellProgress();
  }
}

void SweepFollower::Note(const std::string& line) {
  block_.Erase();
  out_ << line << std::endl;
  if (started_) Draw(true);
}

void SweepFollower::Stop() {
  block_.Erase();
  started_ = false;
}

void SweepFollower::Draw(bool now) {
  if (!terminal_.interactive) return;
  const absl::Duration time = clock_->Monotonic();
  if (!now && time - drawn_at_ < kRedraw) return;
  drawn_at_ = time;
  // The window may have another size by now.
  const Terminal present = DetectTerminal(STDOUT_FILENO);
  if (present.interactive) terminal_ = present;
  block_.Resize(terminal_);
  block_.Draw(StatusLines(model_, terminal_));
}

void SweepFollower::TellProgress() {
  const int tenths = static_cast<int>(Fraction(model_.summary()) * 10);
  if (tenths == told_tenths_) return;
  told_tenths_ = tenths;
  out_ << ProgressLine(model_.summary()) << std::endl;
}

}  // namespace coppice::cli
