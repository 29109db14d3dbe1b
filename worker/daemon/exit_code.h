// The exit codes of coppice-worker. A script or a batch system decides by them whether to start the
// worker again; docs/workers.md lists them.
#ifndef COPPICE_WORKER_DAEMON_EXIT_CODE_H_
#define COPPICE_WORKER_DAEMON_EXIT_CODE_H_

#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/allocation.h"

namespace coppice::worker {

inline constexpr int kExitStopped = 0;  // asked to end
inline constexpr int kExitFailed = 1;   // also: left at once after another signal
inline constexpr int kExitUsage = 2;
inline constexpr int kExitPreempted = 75;           // asked to end by a batch system
inline constexpr int kExitWalltime = 76;            // the walltime ends
inline constexpr int kExitIdle = 77;                // no work for so long (--idle-exit)
inline constexpr int kExitDrained = 78;             // drained (--exit-when-drained)
inline constexpr int kExitSuperseded = 79;          // a newer process has the name
inline constexpr int kExitRefused = 80;             // the coordinator does not accept this worker
inline constexpr int kExitCoordinatorTimeout = 81;  // not reached for so long

// A signal that asks for the end is a preemption where a batch system sends it.
inline v1::ExitReason ReasonOfRequest(const Allocation& allocation) {
  return allocation.system == "slurm" ? v1::EXIT_PREEMPTED : v1::EXIT_STOPPED;
}

// The code of an orderly end.
inline int ExitCodeOf(v1::ExitReason why) {
  switch (why) {
    case v1::EXIT_PREEMPTED:
      return kExitPreempted;
    case v1::EXIT_WALLTIME:
      return kExitWalltime;
    case v1::EXIT_IDLE:
      return kExitIdle;
    case v1::EXIT_DRAINED:
      return kExitDrained;
    case v1::EXIT_FAILED:
      return kExitFailed;
    default:
      return kExitStopped;
  }
}

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_EXIT_CODE_H_
