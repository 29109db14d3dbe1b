#ifndef COPPICE_COORDINATOR_CORE_REFUSAL_PACER_H_
#define COPPICE_COORDINATOR_CORE_REFUSAL_PACER_H_

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace coppice::core {

// Purpose: when callers that were refused may come again. Each is given the next place in a row of
// places kInterval apart, so that, however many they are, they do not come faster than that; who
// would have to wait for longer than kLongest comes then. Owner: the coordinator. Thread-safe.
class RefusalPacer {
 public:
  static constexpr absl::Duration kInterval = absl::Milliseconds(2);
  static constexpr absl::Duration kShortest = absl::Milliseconds(100);
  static constexpr absl::Duration kLongest = absl::Seconds(30);

  // How long the caller that is refused at `now` is to wait.
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
