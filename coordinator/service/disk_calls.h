#ifndef COPPICE_COORDINATOR_SERVICE_DISK_CALLS_H_
#define COPPICE_COORDINATOR_SERVICE_DISK_CALLS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::service {

// Purpose: runs what touches the disk, and answers in time although the disk does not. A file
// server that is gone holds a thread in the kernel, and nothing can call it back. Such a thread is
// left behind and counted; another takes its place.
// Owner: Server. Thread-safe. Nothing is durable.
//   1. Run: queued. At most `threads` calls work at a time; one that takes longer than `slow` is no
//   longer counted among them.
//   2. The work comes back: `done` gets its status, on that thread.
//   3. The work does not come back within `limit`: `done` gets DEADLINE_EXCEEDED, on the clock's
//   thread. The thread is left behind. Until it comes back, further calls of this path are refused.
//   When it does, `late` runs on it.
// The work and `late` may outlive everything else: they own what they touch.
class DiskCalls {
 public:
  struct Options {
    int threads = 4;
    // With those that were left behind.
    int max_threads = 64;
    absl::Duration slow = absl::Seconds(1);
    // From Run on.
    absl::Duration limit = absl::Seconds(30);
    Clock* clock = Clock::Real();
  };
  using Work = std::function<absl::Status()>;
  using Done = std::function<void(absl::Status)>;

  DiskCalls();
  explicit DiskCalls(const Options& options);
  ~DiskCalls();  // Shutdown without a grace
  DiskCalls(const DiskCalls&) = delete;
  DiskCalls& operator=(const DiskCalls&) = delete;

  // Calls `done` exactly once; at once, with UNAVAILABLE, when the path does not answer, when as
  // many threads as may be were left behind, or after Shutdown. `path` is what messages name.
  void Run(const std::string& path, Work work, Done done, std::function<void()> late = nullptr);
  // Drops a reference where blocking does no harm. Never refused.
  void Dispose(std::shared_ptr<void> object);
  // Refuses new calls. Waits up to `grace` (of real time) for those in progress, then answers the
  // rest with UNAVAILABLE and leaves their threads behind. After it no `done` runs.
  void Shutdown(absl::Duration grace);
  int left_behind() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_DISK_CALLS_H_
