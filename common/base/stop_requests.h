#ifndef COPPICE_COMMON_BASE_STOP_REQUESTS_H_
#define COPPICE_COMMON_BASE_STOP_REQUESTS_H_

#include "absl/time/time.h"

namespace coppice {

// Purpose: interprets termination signals, in the same way in every program. The first one stops
// the program in good order. Cluster machinery delivers one request several times (`timeout`
// signals its child and then the group; Slurm signals the batch shell, which forwards, and the
// process itself), so a signal soon after a request repeats it. A later one is a new request, to
// leave at once. After that, nothing is waited for. Owner: main, or a signal handler; nothing here
// allocates, locks or fails. Not thread-safe.
class StopRequests {
 public:
  enum class Meaning { kStop, kSameAgain, kLeave, kEndNow };
  static constexpr absl::Duration kSameRequest = absl::Seconds(2);

  // `now` is monotonic.
  Meaning OnSignal(absl::Duration now) {
    if (requests_ > 0 && now - last_ < kSameRequest) return Meaning::kSameAgain;
    last_ = now;
    ++requests_;
    if (requests_ == 1) return Meaning::kStop;
    return requests_ == 2 ? Meaning::kLeave : Meaning::kEndNow;
  }
  bool stopping() const { return requests_ > 0; }
  bool leaving() const { return requests_ > 1; }

 private:
  int requests_ = 0;
  absl::Duration last_;  // when the latest request began
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_STOP_REQUESTS_H_
