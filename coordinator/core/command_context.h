// One command's view of a transaction, and the one function through which a job changes its state.
#ifndef COPPICE_COORDINATOR_CORE_COMMAND_CONTEXT_H_
#define COPPICE_COORDINATOR_CORE_COMMAND_CONTEXT_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// What follows from a command once it is committed, in order.
struct Effects {
  std::vector<std::function<void(Memory&)>> apply;
  std::vector<JobRow> changed;      // for watchers
  std::vector<SweepId> touched;     // their summaries changed without a job
  std::vector<SweepId> finished;    // their last job ended
  std::vector<JobId> logged;        // log text came
  std::vector<Checkpoint> dropped;  // files to remove

  void Append(Effects&& more);
};

// How an attempt ended.
struct Ending {
  std::string outcome;  // as in Attempt
  std::string message;
  uint32_t end_step = 0;
  std::string kind;      // of a failure
  std::string log_tail;  // of a failure
};

// Purpose: carries a command through validate, write, and what to apply after the commit.
// Owner: the writer, for one command inside its savepoint. Not thread-safe. Memory is read-only
// here and shows the state before the batch; the store shows what commands earlier in the batch
// have written, so whatever decides is read from the store.
class CommandContext {
 public:
  CommandContext(WriteTransaction* store, const Memory* memory, Effects* effects, int64_t now_ms,
                 absl::Duration now)
      : store_(*store), memory_(*memory), effects_(*effects), now_ms_(now_ms), now_(now) {}

  ReadTransaction& read() { return store_.read(); }
  WriteTransaction& write() { return store_; }
  const Memory& memory() const { return memory_; }
  int64_t now_ms() const { return now_ms_; }
  absl::Duration now() const { return now_; }
  Effects& effects() { return effects_; }
  void AfterCommit(std::function<void(Memory&)> apply) {
    effects_.apply.push_back(std::move(apply));
  }

  // Moves `before` to where `trigger` leads, taking the other columns from `after`, and logs it.
  // FAILED_PRECONDITION when the lifecycle has no such row. Nothing else changes a job's state.
  absl::Status Move(const JobRow& before, JobTrigger trigger, JobRow after,
                    const std::string& cause);
  // Ends the running attempt of `before`, too; `after` as above.
  absl::Status EndAttempt(const JobRow& before, JobTrigger trigger, JobRow after,
                          const Ending& ending);
  // For changes that leave the state alone.
  absl::Status UpdateRunning(const JobRow& before, const JobRow& after);
  absl::Status LogEvent(const JobRow& job, const std::string& type, const std::string& message);

 private:
  absl::Status FinishOrReopenSweep(const JobRow& before, const JobRow& after);
  void Reindex(const JobRow& before, const JobRow& after);

  WriteTransaction& store_;
  const Memory& memory_;
  Effects& effects_;
  const int64_t now_ms_;
  const absl::Duration now_;
};

// The job, RUNNING with this attempt on this worker. ABORTED: the lease is over. NOT_FOUND: unknown
// worker (it should register again).
absl::StatusOr<JobRow> CurrentLease(CommandContext& tx, const std::string& worker_id,
                                    const LeaseRef& lease);
// Whether reports that the worker of this lease got an acknowledgement of may be missing here.
bool MayHaveLost(const CommandContext& tx, const LeaseRef& lease);
absl::StatusOr<const WorkerEntry*> KnownWorker(const CommandContext& tx,
                                               const std::string& worker_id);

// Where an attempt's checkpoints go, relative to the checkpoint root:
// <sweep>/<job>/attempt-<attempt>.
std::string CheckpointDir(const std::string& sweep, const LeaseRef& lease);

// The last step whose row belongs to the series that ends with this checkpoint (none: the start of
// the job). Rows past it are archived when the job resumes from it, and the next one comes after
// it.
absl::StatusOr<uint32_t> LastRowOf(ReadTransaction& read,
                                   const std::optional<Checkpoint>& checkpoint);

// At most `bytes` from the start or the end, cut between UTF-8 characters.
std::string Head(const std::string& text, size_t bytes);
std::string Tail(const std::string& text, size_t bytes);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_COMMAND_CONTEXT_H_
