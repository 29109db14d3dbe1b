// Time enters every component through Clock, so that tests decide what time it is.
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

  // Wall time, for what people read and what is stored.
  virtual absl::Time Now() = 0;
  // Time since an arbitrary start that never jumps, for leases, timeouts and rates.
  virtual absl::Duration Monotonic() = 0;

  using TimerId = uint64_t;
  // Calls `callback` once, on a thread of the clock, no sooner than `delay` from now. Callbacks run
  // one at a time and must not block.
  virtual TimerId Schedule(absl::Duration delay, std::function<void()> callback) = 0;
  // True when the callback will not run. Otherwise it has run or runs now: then waits for its end,
  // unless called from a callback. 0 is no timer's number.
  virtual bool Cancel(TimerId id) = 0;

  int64_t NowMillis() { return absl::ToUnixMillis(Now()); }

  // Lives until the process ends.
  static Clock* Real();
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_CLOCK_H_
