#ifndef COPPICE_WORKER_DAEMON_WORKER_OPTIONS_H_
#define COPPICE_WORKER_DAEMON_WORKER_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/files.h"
#include "common/rpc/access.h"
#include "worker/daemon/agent.h"
#include "worker/daemon/state_folder.h"

namespace coppice::worker {

// The command line as it was given.
struct WorkerOptions {
  rpc::AccessFlags access;
  std::string name;  // empty: host name and a suffix that the state folder keeps
  uint32_t slots = 1;
  uint32_t pack = 0;           // 0: measured
  uint32_t threads = 0;        // 0: cores / slots
  std::string state_dir;       // empty: DefaultStateFolder()
  std::string checkpoint_dir;  // empty: over the network
  std::string trainer;         // empty: coppice-trainer beside this program
  std::string device = "auto";
  absl::Duration grace = absl::Seconds(25);
  absl::Duration idle_exit = absl::InfiniteDuration();
  // Zero: as SLURM_JOB_END_TIME says, without it there is no end.
  absl::Duration walltime = absl::ZeroDuration();
  absl::Duration walltime_margin = absl::ZeroDuration();
  std::string slurm_job_end_time;  // Unix seconds; empty: not in a Slurm job
  bool exit_when_drained = false;
  std::string log_level = "info";
};

// Parses the command line (and the variables of rpc::AddAccessFlags, SLURM_JOB_END_TIME). Help,
// version and usage errors are printed, and *exit_code is set to what the program is to end with;
// then nothing is returned.
std::optional<WorkerOptions> ParseWorkerOptions(int argc, const char* const* argv, int* exit_code);

// What a worker needs from its disk before it starts.
struct PreparedWorker {
  StateFolder state;  // locked
  AgentConfig config;
};
// Makes or takes up the state folder and locks it, looks for the trainer, holds the checkpoint
// folder against what it should be. INVALID_ARGUMENT and FAILED_PRECONDITION say what to do; else
// the codes of common/base/files.h.
absl::StatusOr<PreparedWorker> PrepareWorker(const WorkerOptions& options);

// How long the worker may run from `now` on, and in which last part of that it takes no new lease:
// the grace period and a minute, or the margin that was asked for when that is longer. Infinite
// without an end. INVALID_ARGUMENT (a flag or the variable is wrong) and FAILED_PRECONDITION (the
// Slurm job is over too soon for any work) say what to do.
struct Walltime {
  absl::Duration total = absl::InfiniteDuration();
  absl::Duration margin;
};
absl::StatusOr<Walltime> WalltimeOf(const WorkerOptions& options, absl::Time now);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_WORKER_OPTIONS_H_
