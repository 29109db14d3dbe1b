#ifndef COPPICE_WORKER_DAEMON_GRACE_CHECK_H_
#define COPPICE_WORKER_DAEMON_GRACE_CHECK_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/command_reader.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// The time that Slurm leaves between SIGTERM and SIGKILL.
struct SlurmGrace {
  absl::Duration kill_wait;   // KillWait of the cluster
  absl::Duration grace_time;  // GraceTime of the partition, which a preemption adds
  // srun started this process. A batch script gets no signal at the start of GraceTime.
  bool in_step = false;
};

// Reads KillWait from `scontrol show config`, GraceTime from `scontrol -o show partition`. Nothing:
// the text does not say it.
std::optional<absl::Duration> KillWaitIn(const std::string& text);
std::optional<absl::Duration> GraceTimeIn(const std::string& text);

// The fault of `grace`, with the remedy. Empty: it fits.
std::string GraceAdvice(absl::Duration grace, const SlurmGrace& slurm,
                        const std::string& partition);

// Purpose: compares --grace with what Slurm leaves, once, and warns where it does not fit.
// Owner: main. It lives on the environment's main sequence.
// Failures: where scontrol does not say it, the log does.
class GraceCheck {
 public:
  GraceCheck(const Environment* environment, Allocation allocation, std::string path, bool in_step,
             absl::Duration grace);

  void Start();

 private:
  void OnConfig(const absl::StatusOr<std::string>& answer);
  void OnPartition(const absl::StatusOr<std::string>& answer);

  const Allocation allocation_;
  const std::string path_;
  const absl::Duration grace_;
  SlurmGrace slurm_;
  CommandReader reader_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRACE_CHECK_H_
