#ifndef COPPICE_COORDINATOR_CORE_REFUSAL_PACER_H_
#define COPPICE_COORDINATOR_CORE_REFUSAL_PACER_H_

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace coppice::core {

// Purpose: schedules the retries of refused callers. Each caller gets the next place in a sequence
// with kInterval between places, so that any number of callers retries no faster than that. A
// caller whose place is further away than kLongest retries after kLongest. Owner: the coordinator.
// Thread-safe.
class RefusalPacer {
 public:
  static constexpr absl::Duration kInterval = absl::Milliseconds(2);
  static constexpr absl::Duration kShortest = absl::Milliseconds(100);
  static constexpr absl::Duration kLongest = absl::Seconds(30);

  // Returns the time for which the caller refused at `now` should wait.
  absl::Duration Next(absl::Duration now) {
    absl::MutexLock lock(&mutex_);
    free_ = std::clamp(free_ + kInterval, now + kShortest, now + kLongest);
    return free_ - now;
  }

 private:
  absl::Mutex mutex_;
  absl::Duration free_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();  // the last place
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_REFUSAL_PACER_H_
