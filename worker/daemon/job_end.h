#ifndef COPPICE_WORKER_DAEMON_JOB_END_H_
#define COPPICE_WORKER_DAEMON_JOB_END_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/command_reader.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// Reads the answer of `squeue -h -o %e` or `scontrol show job -o`. InfiniteFuture: the job has no
// limit. INVALID_ARGUMENT: the text says no time that could be the end of a job that runs at `now`.
absl::StatusOr<absl::Time> EndInQueue(const std::string& text, absl::Time now);
absl::StatusOr<absl::Time> EndInJob(const std::string& text, absl::Time now);

// Purpose: knows when the Slurm job of this process ends. It asks squeue, and scontrol where squeue
// has no answer, at the start and every few minutes from then on, because the limit may be moved.
// Owner: main. Created and destroyed on the environment's main sequence, on which it lives.
// Failures: what was known holds until there is another answer. slurmctld may be away for minutes,
// and nothing is concluded from that. The log says once where the end comes from, or that it is
// unknown and why.
class JobEnd {
 public:
  // `known` comes from SLURM_JOB_END_TIME. `on_end` is called for every end that differs from the
  // last one. InfiniteFuture: the job has no limit.
  JobEnd(const Environment* environment, Allocation allocation, std::string path,
         std::optional<absl::Time> known, std::function<void(absl::Time)> on_end);

  void Start();

 private:
  void AskQueue();
  void AskJob(const absl::Status& queue);
  void OnEnd(absl::Time end, const std::string& source);
  void OnUnknown(const absl::Status& reason);

  const Environment* const environment_;
  const Allocation allocation_;
  const std::string path_;
  const std::function<void(absl::Time)> on_end_;
  std::optional<absl::Time> end_;
  std::string source_;  // as last said
  bool said_unknown_ = false;
  CommandReader reader_;
  Timer next_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_JOB_END_H_
