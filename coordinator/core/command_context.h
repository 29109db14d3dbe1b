// A command's view of its transaction, and the only function that changes a job's state.
#ifndef COPPICE_COORDINATOR_CORE_COMMAND_CONTEXT_H_
#define COPPICE_COORDINATOR_CORE_COMMAND_CONTEXT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/memory_change.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// A line for the coordinator's log, written once it is true.
struct LogLine {
  enum Level { kInfo, kError };
  Level level = kInfo;
  std::string text;
};

// The consequences of a command, carried out in this order once it is committed.
struct Effects {
  std::vector<MemoryChange> memory;
  std::vector<LogLine> log;
  std::vector<JobRow> changed;      // for watchers
  std::vector<SweepId> touched;     // sweeps whose summaries changed without a job
  std::vector<SweepId> finished;    // sweeps whose last job ended, or that were deleted
  std::vector<JobId> logged;        // jobs with new log text
  std::vector<Checkpoint> dropped;  // files to remove
  std::vector<Checkpoint> deleted;  // files to remove with their folders: their jobs are gone

  void Append(Effects&& more);
};

// The end of an attempt.
struct Ending {
  AttemptOutcome outcome = AttemptOutcome::kReleased;
  std::string message;
  uint32_t end_step = 0;
  AttemptMark mark = AttemptMark::kNone;
  std::optional<FailureKind> failure = std::nullopt;
  std::string log_tail = "";  // of a failure
};

// Purpose: carries a command through validation and writes, and collects the effects to apply after
// the commit.
// Owner: the writer, for one command inside its savepoint. Not thread-safe. Memory is read-only
// here and shows the state before the batch. The store also shows the writes of earlier commands in
// the batch, so a command must read from the store everything on which it decides.
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
  // Says what memory should become once the command is committed.
  void AfterCommit(MemoryChange change) { effects_.memory.push_back(std::move(change)); }

  // Says in the coordinator's log what was done, once the command is committed.
  void Say(LogLine::Level level, std::string text) {
    effects_.log.push_back({level, std::move(text)});
  }

  // Changes the state of `before` as `trigger` demands, takes the other columns from `after`, and
  // logs the transition. FAILED_PRECONDITION if the lifecycle has no such row. No other function
  // changes a job's state.
  absl::Status Move(const JobRow& before, JobTrigger trigger, JobRow after,
                    const std::string& cause);
  // Also ends the running attempt of `before`. `after` as for Move.
  absl::Status EndAttempt(const JobRow& before, JobTrigger trigger, JobRow after,
                          const Ending& ending);
  // Does the same with the attempt's row at hand, which may hold changes to store.
  absl::Status EndAttempt(const JobRow& before, JobTrigger trigger, JobRow after,
                          AttemptRow attempt, const Ending& ending);
  // Takes from a job what only a shorter run has, if `last`, its newest attempt, was one: a last
  // row that a run of the present length would not have, and the checkpoint that was saved with it.
  // The job then stands at the newest checkpoint before, or at step 0. True: `job` has changed. The
  // attempt has ended, and the caller stores the job.
  absl::StatusOr<bool> LeaveShorterRun(const AttemptRow& last, const GroupSpec& spec, JobRow& job);
  // Updates a job that is not RUNNING, without changing its state.
  absl::Status UpdateResting(const JobRow& before, const JobRow& after);
  // Updates a running job without changing its state.
  absl::Status UpdateRunning(const JobRow& before, const JobRow& after);
  absl::Status LogEvent(const JobRow& job, EventType type, const std::string& message);

 private:
  absl::Status FinishOrReopenSweep(const JobRow& before, const JobRow& after);
  void Reindex(const JobRow& before, const JobRow& after);

  WriteTransaction& store_;
  const Memory& memory_;
  Effects& effects_;
  const int64_t now_ms_;
  const absl::Duration now_;
};

// Returns the job if it is RUNNING with this attempt on this worker. ABORTED: the lease is over.
// NOT_FOUND: the worker is unknown and should register again.
absl::StatusOr<JobRow> CurrentLease(CommandContext& tx, const std::string& worker_id,
                                    const LeaseRef& lease);
// Returns the job of a lease; none: the lease has ended in this batch, or the job is gone.
absl::StatusOr<std::optional<JobRow>> RunningJob(CommandContext& tx, const LeaseRef& lease);
// True if the store may lack records of this lease that were acknowledged to its worker.
bool MayHaveLost(const CommandContext& tx, const LeaseRef& lease);
absl::StatusOr<const WorkerEntry*> KnownWorker(const CommandContext& tx,
                                               const std::string& worker_id);

// Returns the job's group. INTERNAL: the catalog does not hold it.
absl::StatusOr<std::shared_ptr<const GroupInfo>> GroupOf(const CommandContext& tx,
                                                         const JobRow& job);

// True if the last row and checkpoint of a run of `steps` are those of a longer run too.
bool HasCommonEnd(const GroupSpec& spec, uint32_t steps);

// Returns the folder of an attempt's checkpoints, relative to the checkpoint root:
// <sweep>/<job>/attempt-<attempt>.
std::string CheckpointDir(const std::string& sweep, const LeaseRef& lease);

// Returns the last step whose row belongs to the series that ends with this checkpoint (none: the
// start of the job). When the job resumes from the checkpoint, later rows are archived, and the
// next row comes after this step.
absl::StatusOr<uint32_t> LastRowOf(ReadTransaction& read,
                                   const std::optional<Checkpoint>& checkpoint);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_COMMAND_CONTEXT_H_
