#include "worker/daemon/stall_watch.h"

#include <algorithm>
#include <utility>

namespace coppice::worker {

StallWatch::StallWatch(const Environment* environment, absl::Duration limit)
    : clock_(environment->clock), set_limit_(limit), timer_(environment) {}

void StallWatch::Start(std::function<void()> on_stalled) {
  on_stalled_ = std::move(on_stalled);
  running_ = true;
  counted_ = absl::ZeroDuration();
  ticked_at_ = clock_->Monotonic();
  period_ = Period();
  timer_.Start(period_, [this] { Tick(); });
}

void StallWatch::GotOn() {
  if (!running_) return;
  last_pause_ = silence();
  longest_pause_ = std::max(longest_pause_, last_pause_);
  got_on_ = true;
  counted_ = absl::ZeroDuration();
  // The pending tick keeps its time.
  const absl::Duration now = clock_->Monotonic();
  period_ = std::max(absl::ZeroDuration(), period_ - (now - ticked_at_));
  ticked_at_ = now;
}

void StallWatch::Stop() {
  running_ = false;
  timer_.Stop();
}

absl::Duration StallWatch::limit() const {
  if (set_limit_ > absl::ZeroDuration()) return set_limit_;
  return std::max(got_on_ ? kShortest : kFirst, kPauses * longest_pause_);
}

absl::Duration StallWatch::Period() const {
  return std::clamp(limit() / 20, absl::Milliseconds(100), absl::Seconds(5));
}

// At most one period of a tick's delay counts. A longer delay means that this process did not run.
absl::Duration StallWatch::Passed() const {
  return std::min(clock_->Monotonic() - ticked_at_, period_ + Period());
}

absl::Duration StallWatch::silence() const {
  return running_ ? counted_ + Passed() : absl::ZeroDuration();
}

void StallWatch::Tick() {
  counted_ += Passed();
  ticked_at_ = clock_->Monotonic();
  if (counted_ >= limit()) {
    running_ = false;
    return on_stalled_();
  }
  period_ = Period();
  timer_.Start(period_, [this] { Tick(); });
}

}  // namespace coppice::worker
