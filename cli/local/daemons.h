#ifndef COPPICE_CLI_LOCAL_DAEMONS_H_
#define COPPICE_CLI_LOCAL_DAEMONS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/local/child.h"
#include "cli/local/waits.h"
#include "common/base/clock.h"

namespace coppice::cli {

// The run folder's daemons, and the one place that waits: for their ends, for signals, and for a
// descriptor of the owner's. Not thread-safe.
class Daemons {
 public:
  struct Paths {
    std::string run;       // folder, absolute
    std::string binaries;  // folder of coppice-coordinator and coppice-worker
  };

  Daemons(Paths paths, StopSignals* signals, Clock* clock)
      : paths_(std::move(paths)), signals_(signals), clock_(clock) {}

  // Starts the coordinator, waits until it serves, and returns its address. INTERNAL, with its
  // log's tail, if it ends instead. CANCELLED if a signal came.
  absl::StatusOr<std::string> StartCoordinator();
  // The file that gives access to this account alone. It exists once the coordinator serves.
  std::string AccessPath() const;
  // Starts worker number `index`, from 1.
  absl::Status StartWorker(uint32_t index, uint32_t slots, uint32_t pack, uint32_t threads);

  // Waits until a daemon ends, a signal comes, `other_fd` (-1: none) is readable, or `timeout` is
  // over.
  void Wait(int other_fd, absl::Duration timeout);
  // Stop requests so far. A request that is delivered several times counts once.
  const StopRequests& requests() const { return signals_->requests(); }
  // INTERNAL, with the log's tail, for a daemon that ended unasked. Each is reported once.
  absl::Status TakeDeath();
  bool coordinator_runs();
  size_t running_workers();

  // Sends SIGTERM to the workers, which checkpoint, then to the coordinator, and returns when all
  // have ended. A daemon is killed when its grace is over or a second request comes; then the
  // result is false.
  bool Stop();

 private:
  bool AwaitEnd(const std::vector<Child*>& children, absl::Duration grace);
  std::string LogPath(const std::string& name) const;

  const Paths paths_;
  StopSignals* const signals_;
  Clock* const clock_;
  bool stopping_ = false;
  std::unique_ptr<Child> coordinator_;
  std::vector<std::unique_ptr<Child>> workers_;
  std::vector<const Child*> reported_;
};

// Describes a daemon's end with the last lines of its log.
absl::Status DeathOf(const Child& child, const ChildExit& exit);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_DAEMONS_H_
