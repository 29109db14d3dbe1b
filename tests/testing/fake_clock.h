#ifndef COPPICE_TESTS_TESTING_FAKE_CLOCK_H_
#define COPPICE_TESTS_TESTING_FAKE_CLOCK_H_

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"

namespace coppice::testing {

// A clock that stands still until Advance, which runs due timers in order on the caller's thread.
// Thread-safe, but only one thread at a time may call Advance.
class FakeClock : public Clock {
 public:
  absl::Time Now() override {
    absl::MutexLock lock(&mutex_);
    return start_ + elapsed_ + jump_;
  }
  absl::Duration Monotonic() override {
    absl::MutexLock lock(&mutex_);
    return elapsed_;
  }
  TimerId Schedule(absl::Duration delay, std::function<void()> callback) override {
    absl::MutexLock lock(&mutex_);
    const TimerId id = ++last_id_;
    timers_.emplace(std::make_pair(elapsed_ + delay, id), std::move(callback));
    return id;
  }
  bool Cancel(TimerId id) override {
    absl::MutexLock lock(&mutex_);
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second != id) continue;
      timers_.erase(it);
      return true;
    }
    return false;
  }

  void Advance(absl::Duration by) {
    absl::ReleasableMutexLock lock(&mutex_);
    const absl::Duration target = elapsed_ + by;
    lock.Release();
    while (RunOneDue(target)) {
    }
    absl::MutexLock relock(&mutex_);
    elapsed_ = target;
  }
  // Moves wall time alone, as an administrator or NTP may.
  void JumpWallTime(absl::Duration by) {
    absl::MutexLock lock(&mutex_);
    jump_ += by;
  }
  // Time until the next timer is due; infinite if there is none.
  absl::Duration UntilNextTimer() {
    absl::MutexLock lock(&mutex_);
    return timers_.empty() ? absl::InfiniteDuration() : timers_.begin()->first.first - elapsed_;
  }
  // Whether exactly `count` timers wait, now or within `patience` (real time).
  bool AwaitTimers(size_t count, absl::Duration patience) {
    absl::MutexLock lock(&mutex_);
    const auto wait = [&]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return timers_.size() == count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&wait), patience);
  }
  size_t pending_timers() {
    absl::MutexLock lock(&mutex_);
    return timers_.size();
  }

 private:
  bool RunOneDue(absl::Duration target) {
    std::function<void()> callback;
    {
      absl::MutexLock lock(&mutex_);
      if (timers_.empty() || timers_.begin()->first.first > target) return false;
      elapsed_ = std::max(elapsed_, timers_.begin()->first.first);
      callback = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
    }
    callback();
    return true;
  }

  absl::Mutex mutex_;
  const absl::Time start_ = absl::FromUnixSeconds(1'700'000'000);
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  absl::Duration jump_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  TimerId last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<absl::Duration, TimerId>, std::function<void()>> timers_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::testing

#endif  // COPPICE_TESTS_TESTING_FAKE_CLOCK_H_
