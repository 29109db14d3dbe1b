#ifndef COPPICE_WORKER_DAEMON_WORKER_OPTIONS_H_
#define COPPICE_WORKER_DAEMON_WORKER_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/device_spec.h"
#include "common/rpc/access.h"
#include "worker/daemon/allocation.h"

namespace coppice::worker {

// The command line as it was given.
struct WorkerOptions {
  rpc::AccessFlags access;
  // Empty: the allocation's, or the host's name plus a suffix that the state folder keeps.
  std::string name;
  uint32_t slots = 0;          // 0: as many as GPUs, see PlanSlots
  uint32_t pack = 0;           // 0: measured
  uint32_t threads = 0;        // 0: usable cores / slots
  std::string state_dir;       // empty: DefaultStateFolder()
  std::string checkpoint_dir;  // empty: over the network
  std::string trainer;         // empty: one beside this program (trainer_choice.h)
  DeviceSpec device;
  absl::Duration grace = absl::Seconds(25);
  absl::Duration idle_exit = absl::ZeroDuration();            // zero: the default of its place
  absl::Duration coordinator_timeout = absl::ZeroDuration();  // zero: the default of its place
  // Zero: until SLURM_JOB_END_TIME, or without an end if that is unset.
  absl::Duration walltime = absl::ZeroDuration();
  absl::Duration walltime_margin = absl::ZeroDuration();
  std::string slurm_job_end_time;  // Unix seconds; empty: not in a Slurm job
  bool exit_when_drained = false;
  bool programs = false;
  std::string log_level = "info";
  Allocation allocation;
};

// Parses the command line, and the variables of rpc::AddAccessFlags and SLURM_JOB_END_TIME. For
// help, version and usage errors it prints the text, sets *exit_code to the program's exit code,
// and returns nothing.
std::optional<WorkerOptions> ParseWorkerOptions(int argc, const char* const* argv, int* exit_code);

// The times without work and without the coordinator after which the worker exits. In a Slurm job
// an allocation is not kept for nothing; elsewhere the worker stays unless a flag says otherwise.
struct IdleLimits {
  absl::Duration idle_exit = absl::InfiniteDuration();
  absl::Duration first_idle_exit = absl::InfiniteDuration();  // before the first work
  absl::Duration coordinator_timeout = absl::InfiniteDuration();
};
IdleLimits IdleLimitsOf(const WorkerOptions& options);

// The time that the worker may run from `now` on, and the last part of it, in which it takes no new
// lease. The margin is the grace period and a minute, or a longer margin that was asked for.
// Infinite without an end. INVALID_ARGUMENT (a flag or the variable is wrong) and
// FAILED_PRECONDITION (the Slurm job ends too soon for any work) name the remedy.
struct Walltime {
  absl::Duration total = absl::InfiniteDuration();
  absl::Duration margin;
};
absl::StatusOr<Walltime> WalltimeOf(const WorkerOptions& options, absl::Time now);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_WORKER_OPTIONS_H_
