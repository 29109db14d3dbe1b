#ifndef COPPICE_CLI_LOCAL_DAEMONS_H_
#define COPPICE_CLI_LOCAL_DAEMONS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/local/child.h"
#include "cli/local/waits.h"
#include "common/base/clock.h"

namespace coppice::cli {

// The run folder's daemons and the one place that waits: for their ends, for signals, for what the
// owner adds. Not thread-safe.
class Daemons {
 public:
  struct Paths {
    std::string run;       // folder, absolute
    std::string binaries;  // folder of coppice-coordinator and coppice-worker
  };

  Daemons(Paths paths, StopSignals* signals, Clock* clock)
      : paths_(std::move(paths)), signals_(signals), clock_(clock) {}

  // Starts the coordinator and waits until it serves; its address. INTERNAL, with its log's tail,
  // when it ends instead; CANCELLED when a signal came.
  absl::StatusOr<std::string> StartCoordinator();
  // The file by which this account, and nobody else, gets in; there once the coordinator serves.
  std::string AccessPath() const;
  // Worker number `index`, from 1.
  absl::Status StartWorker(uint32_t index, uint32_t slots, uint32_t pack, uint32_t threads);

  // Waits until something happened or `timeout` is over: a daemon ended, a signal came, or
  // `other_fd` (-1: none) is readable.
  void Wait(int other_fd, absl::Duration timeout);
  // Requests for the end so far; one that is delivered several times is one.
  const StopRequests& requests() const { return signals_->requests(); }
  // INTERNAL, with the log's tail, for a daemon that ended and was not told to; each is told once.
  absl::Status TakeDeath();
  bool coordinator_runs();
  size_t running_workers();

  // SIGTERM to the workers, which checkpoint, then to the coordinator; returns when all have ended.
  // What takes longer than its grace, or is still there when a second request comes, is killed:
  // then false.
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
  std::vector<const Child*> told_;
};

// Describes a daemon's end with the last lines of its log.
absl::Status DeathOf(const Child& child, const ChildExit& exit);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_DAEMONS_H_
