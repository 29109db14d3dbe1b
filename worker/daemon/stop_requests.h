#ifndef COPPICE_WORKER_DAEMON_STOP_REQUESTS_H_
#define COPPICE_WORKER_DAEMON_STOP_REQUESTS_H_

#include "absl/time/time.h"

namespace coppice::worker {

// Purpose: says what a signal that asks for the end means. The first one stops the worker: save,
// release, exit. Cluster machinery delivers one request several times (Slurm signals the batch
// shell, which forwards, and the process itself), so what comes right after it is the same request.
// A later one means it: leave at once. After that, nothing is waited for. Owned by main; not
// thread-safe; no failure codes.
class StopRequests {
 public:
  enum class Meaning { kStop, kSameAgain, kLeave, kEndNow };
  static constexpr absl::Duration kSameRequest = absl::Seconds(2);

  // `now` is monotonic.
  Meaning OnSignal(absl::Duration now) {
    if (!stopping_) {
      stopping_ = true;
      first_ = now;
      return Meaning::kStop;
    }
    if (leaving_) return Meaning::kEndNow;
    if (now - first_ < kSameRequest) return Meaning::kSameAgain;
    leaving_ = true;
    return Meaning::kLeave;
  }
  bool leaving() const { return leaving_; }

 private:
  bool stopping_ = false;
  bool leaving_ = false;
  absl::Duration first_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_STOP_REQUESTS_H_
