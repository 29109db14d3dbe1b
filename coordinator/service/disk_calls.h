#ifndef COPPICE_COORDINATOR_SERVICE_DISK_CALLS_H_
#define COPPICE_COORDINATOR_SERVICE_DISK_CALLS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::service {

// Purpose: runs work on the disk, and answers in time even if the disk does not. A file server that
// is gone blocks a thread in the kernel, from which nothing can free it. Such a thread is left
// behind and counted, and another takes its place. Owner: Server. Thread-safe. Nothing is durable.
//   1. Run queues the work. At most `threads` calls run at a time; a call longer than `slow` no
//      longer counts.
//   2. If the work returns, `done` gets its status on the same thread.
//   3. If the work does not return within `limit`, `done` gets DEADLINE_EXCEEDED on the clock's
//      thread, and the working thread is left behind. Until it returns, further calls for this path
//      are refused. When it returns, it runs `late`.
// The work and `late` may outlive everything else, so they must own what they use.
class DiskCalls {
 public:
  struct Options {
    int threads = 4;
    // Including threads that were left behind.
    int max_threads = 64;
    absl::Duration slow = absl::Seconds(1);
    // Counted from Run.
    absl::Duration limit = absl::Seconds(30);
    Clock* clock = Clock::Real();
  };
  using Work = std::function<absl::Status()>;
  using Done = std::function<void(absl::Status)>;

  DiskCalls();
  explicit DiskCalls(const Options& options);
  ~DiskCalls();  // Shutdown without grace
  DiskCalls(const DiskCalls&) = delete;
  DiskCalls& operator=(const DiskCalls&) = delete;

  // Calls `done` exactly once. It is called immediately with UNAVAILABLE if an earlier call for the
  // path does not return, if the maximum of threads was left behind, or after Shutdown. Messages
  // name `path`.
  void Run(const std::string& path, Work work, Done done, std::function<void()> late = nullptr);
  // Drops a reference on a thread that may block. Never refused.
  void Dispose(std::shared_ptr<void> object);
  // Refuses new calls. Waits up to `grace` (real time) for calls in progress, answers the others
  // with UNAVAILABLE and leaves their threads behind. No `done` runs after it returns.
  void Shutdown(absl::Duration grace);
  int left_behind() const;

 private:
  struct Call;
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_DISK_CALLS_H_
