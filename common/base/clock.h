// Every component reads the time through Clock, so that tests control it.
#ifndef COPPICE_COMMON_BASE_CLOCK_H_
#define COPPICE_COMMON_BASE_CLOCK_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace coppice {

// Thread-safe. The real one is Clock::Real(); tests use FakeClock (tests/testing/fake_clock.h).
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time, for people and for storage.
  virtual absl::Time Now() = 0;
  // Time since an arbitrary start that never jumps, for leases, timeouts and rates.
  virtual absl::Duration Monotonic() = 0;

  using TimerId = uint64_t;
  // Calls `callback` once, on a thread of the clock, no sooner than `delay` from now. Callbacks run
  // one at a time and must not block.
  virtual TimerId Schedule(absl::Duration delay, std::function<void()> callback) = 0;
  // True: the callback will not run. False: it has already run. Waits for a callback that is
  // running, unless called from a callback. No timer has the number 0.
  virtual bool Cancel(TimerId id) = 0;

  int64_t NowMillis() { return absl::ToUnixMillis(Now()); }

  // Lives until the process ends.
  static Clock* Real();
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_CLOCK_H_
