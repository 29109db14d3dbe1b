#ifndef COPPICE_COORDINATOR_POOLS_BATCH_SYSTEM_H_
#define COPPICE_COORDINATOR_POOLS_BATCH_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::pools {

struct Submission {
  std::string key;      // job name and comment
  std::string script;   // with its #SBATCH lines
  std::string log_dir;  // exists afterwards
  std::string cluster;  // of a federation; empty: the default one
};

struct SubmitResult {
  enum class Kind {
    kAccepted,
    kPermanent,  // refused, and the next try would be too
    kLimit,      // refused, because a limit of the site is reached
    kTransient,  // refused or never sent; a later try may pass
    kUnclear,    // no clear answer: the job may be queued now or later
  };
  Kind kind = Kind::kUnclear;
  std::string job_id;  // of kAccepted
  std::string text;    // of the others: the batch system's words
  std::string remedy;  // a sentence, or empty
};

enum class JobPhase { kPending, kRunning, kEnded, kUnknown };

// A job as the batch system shows it.
struct Job {
  std::string key;  // its name
  std::string job_id;
  JobPhase phase = JobPhase::kUnknown;
  std::string state, reason, node;
  // Unix time; 0: not known. An end of a job that runs is that of its time limit.
  int64_t start_ms = 0, end_ms = 0;
  std::optional<uint32_t> restarts;
  std::optional<int> exit_code;
};

// Limits of a partition and of the cluster.
struct Capabilities {
  std::string version;
  bool partition_up = true;
  int64_t max_time_s = 0, default_time_s = 0;  // 0: no limit, or not known
  int64_t grace_time_s = 0;
  std::string preempt_mode;
  int64_t kill_wait_s = 0;
  uint32_t nodes = 0, cpus = 0;  // of the partition
  std::string requeue_exit;
};

// Purpose: the commands of a batch system. Owner: main, which keeps it longer than the Autoscaler.
// Thread-safe; nothing blocks. Each call calls back exactly once, on any thread, perhaps before it
// returns, unless the object is destroyed first. Failure codes: UNAVAILABLE (the batch system does
// not answer: nothing may be concluded), FAILED_PRECONDITION (its commands are missing), INTERNAL
// (an answer that cannot be read).
class BatchSystem {
 public:
  virtual ~BatchSystem() = default;

  // Empty: its commands can run now. Else why not, and the remedy. Any thread.
  virtual std::string Absent() { return ""; }

  virtual void Submit(Submission submission, std::function<void(SubmitResult)> done) = 0;
  // Every job of this account that the batch system still knows, ended ones included where it lists
  // them. A job that is missing need not have ended.
  virtual void Queue(std::vector<std::string> clusters,
                     std::function<void(absl::StatusOr<std::vector<Job>>)> done) = 0;
  // nullopt: the batch system says that it knows no such job.
  virtual void Show(std::string job_id, std::string cluster,
                    std::function<void(absl::StatusOr<std::optional<Job>>)> done) = 0;
  // Cancels those of the jobs that are still queued; never one that has started.
  virtual void CancelQueued(std::vector<std::string> job_ids, std::string cluster,
                            std::function<void(absl::Status)> done) = 0;
  virtual void GetCapabilities(std::string partition, std::string cluster,
                               std::function<void(absl::StatusOr<Capabilities>)> done) = 0;
  // Asks whether the submission would be taken, and submits nothing.
  virtual void TestSubmit(Submission submission, std::function<void(SubmitResult)> done) = 0;
};

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_BATCH_SYSTEM_H_
