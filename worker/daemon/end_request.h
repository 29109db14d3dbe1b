#ifndef COPPICE_WORKER_DAEMON_END_REQUEST_H_
#define COPPICE_WORKER_DAEMON_END_REQUEST_H_

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace coppice::worker {

// Purpose: tells whatever blocks while the worker prepares that the process was asked to end. It
// reads nothing, so the signal is still there for its reader. Thread-safe.
class EndRequest {
 public:
  // Nobody asks.
  EndRequest() = default;
  // `fd` becomes readable with the request, like a signalfd. It outlives this object.
  explicit EndRequest(int fd) : fd_(fd) {}

  bool made() const { return !Wait(absl::ZeroDuration()); }
  // Waits so long, or until the request comes. False: it has come.
  bool Wait(absl::Duration time) const {
    pollfd asked = {fd_, POLLIN, 0};  // poll ignores a negative descriptor
    return ::poll(&asked, 1, Millis(time)) <= 0;
  }
  int fd() const { return fd_; }

  // For poll: rounded up, so that a wait is never cut short to a busy loop.
  static int Millis(absl::Duration time) {
    const int64_t millis = absl::ToInt64Milliseconds(absl::Ceil(time, absl::Milliseconds(1)));
    return static_cast<int>(
        std::clamp(millis, int64_t{0}, int64_t{std::numeric_limits<int>::max()}));
  }

 private:
  int fd_ = -1;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_END_REQUEST_H_
