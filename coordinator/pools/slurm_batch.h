#ifndef COPPICE_COORDINATOR_POOLS_SLURM_BATCH_H_
#define COPPICE_COORDINATOR_POOLS_SLURM_BATCH_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/command_runner.h"
#include "coordinator/pools/batch_system.h"

namespace coppice::pools {

struct SlurmOptions {
  // The folder of sbatch, squeue, scontrol and scancel; empty: PATH.
  std::string bin_dir;
  // sbatch may wait for a busy controller. After that it is killed, and what became of the job is
  // unclear.
  absl::Duration submit_limit = absl::Seconds(60);
  absl::Duration query_limit = absl::Seconds(30);
};

// Purpose: Slurm by its commands, which need no root, no slurmrestd and no accounting. Owner: main.
// See BatchSystem. The commands' environment is this process's without the settings that would
// change their meaning (SBATCH_*, SQUEUE_* and the like, and SLURM_* of a surrounding job). No
// secret is in an argument or in it: the variables of this project stay behind.
class SlurmBatch : public BatchSystem {
 public:
  explicit SlurmBatch(SlurmOptions options = {},
                      std::unique_ptr<CommandRunner> runner = std::make_unique<LocalCommands>());
  ~SlurmBatch() override;

  void Submit(Submission submission, std::function<void(SubmitResult)> done) override;
  void Queue(std::vector<std::string> clusters,
             std::function<void(absl::StatusOr<std::vector<Job>>)> done) override;
  void Show(std::string job_id, std::string cluster,
            std::function<void(absl::StatusOr<std::optional<Job>>)> done) override;
  void CancelQueued(std::vector<std::string> job_ids, std::string cluster,
                    std::function<void(absl::Status)> done) override;
  void GetCapabilities(std::string partition, std::string cluster,
                       std::function<void(absl::StatusOr<Capabilities>)> done) override;
  void TestSubmit(Submission submission, std::function<void(SubmitResult)> done) override;
  std::string Absent() override { return runner_->Absent(); }
  // Kills the commands that run and waits for their callbacks.
  void Shutdown();

 private:
  void Run(std::vector<std::string> argv, std::string input, absl::Duration limit,
           std::function<void(CommandResult)> done, std::string folder = "");
  void Sbatch(Submission submission, std::vector<std::string> flags,
              std::function<void(CommandResult)> done);
  // One squeue a cluster, one after the other, so that one answer cannot be taken for another's.
  void QueueNext(std::vector<std::string> clusters, std::vector<Job> jobs,
                 std::function<void(absl::StatusOr<std::vector<Job>>)> done);
  void Classify(CommandResult result, std::function<void(SubmitResult)> done);

  const SlurmOptions options_;
  const std::vector<std::string> environment_;
  const std::unique_ptr<CommandRunner> runner_;
};

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_SLURM_BATCH_H_
