#include "common/base/clock.h"

#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"

namespace coppice {
namespace {

class RealClock : public Clock {
 public:
  RealClock() : thread_([this] { Run(); }) {}

  absl::Time Now() override { return absl::Now(); }

  absl::Duration Monotonic() override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  TimerId Schedule(absl::Duration delay, std::function<void()> callback) override {
    absl::MutexLock lock(&mutex_);
    const TimerId id = ++last_id_;
    const absl::Duration due =
        Monotonic() + (delay > absl::ZeroDuration() ? delay : absl::ZeroDuration());
    timers_.emplace(std::make_pair(due, id), std::move(callback));
    due_of_.emplace(id, due);
    changed_.Signal();
    return id;
  }

  bool Cancel(TimerId id) override {
    if (id == 0) return false;  // no timer has this number
    absl::MutexLock lock(&mutex_);
    const auto it = due_of_.find(id);
    if (it != due_of_.end()) {
      timers_.erase({it->second, id});
      due_of_.erase(it);
      return true;
    }
    if (std::this_thread::get_id() == thread_.get_id()) return false;
    while (running_ == id) finished_.Wait(&mutex_);
    return false;
  }

 private:
  void Run() {
    absl::MutexLock lock(&mutex_);
    for (;;) {
      if (timers_.empty()) {
        changed_.Wait(&mutex_);
        continue;
      }
      const auto first = timers_.begin();
      const absl::Duration wait = first->first.first - Monotonic();
      if (wait > absl::ZeroDuration()) {
        changed_.WaitWithTimeout(&mutex_, wait);
        continue;
      }
      running_ = first->first.second;
      std::function<void()> callback = std::move(first->second);
      due_of_.erase(running_);
      timers_.erase(first);
      mutex_.Unlock();
      callback();
      callback = nullptr;
      mutex_.Lock();
      running_ = 0;
      finished_.SignalAll();
    }
  }

  absl::Mutex mutex_;
  absl::CondVar changed_;
  absl::CondVar finished_;
  TimerId last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  TimerId running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<absl::Duration, TimerId>, std::function<void()>> timers_
      ABSL_GUARDED_BY(mutex_);
  std::map<TimerId, absl::Duration> due_of_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses everything above
};

}  // namespace

Clock* Clock::Real() {
  static RealClock* const clock = new RealClock;
  return clock;
}

}  // namespace coppice
