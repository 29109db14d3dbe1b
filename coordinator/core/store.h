// The core's durable data: typed rows and the operations on them, independent of SQL.
#ifndef COPPICE_COORDINATOR_CORE_STORE_H_
#define COPPICE_COORDINATOR_CORE_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/failure_kind.h"
#include "coordinator/core/types.h"
#include "coordinator/pools/pool.h"

namespace coppice::core {

// ---- rows -------------------------------------------------------------------------------------

struct SweepRow {
  SweepId id = 0;
  std::string name;
  int32_t priority = 0;
  uint32_t max_failures = 0;
  bool paused = false;
  int64_t created_ms = 0;
  int64_t finished_ms = 0;
  uint64_t unfinished = 0;  // jobs PENDING or RUNNING; updated with the jobs
  uint64_t steps_total = 0;
  // Jobs that the submission has yet to insert. Until then the sweep counts as not submitted: only
  // ListIncompleteSweeps and GetSweep return it.
  uint64_t jobs_missing = 0;
  // The sweep is being deleted, and counts as gone: only ListDeletedSweeps and GetSweep return it.
  // Its name is one that no user can give.
  bool deleted = false;
  std::string note = {};
  std::vector<std::string> tags = {};  // sorted, each once
};

// A group's jobs have the ids first_job, first_job + 1, ..., in the order of the seeds.
// A point that got more seeds later has several groups, with the same spec.
struct GroupRow {
  GroupId id = 0;
  SweepId sweep_id = 0;
  GroupId part_of = 0;  // the first group of the point; 0: this one
  GroupSpec spec;
  JobId first_job = 0;
  uint64_t jobs = 0;
  bool seeds_ascend = true;  // seeds rise with the ids, which allows binary search
  // An extension gave the group more steps, and some of its jobs have yet to follow.
  bool continuing = false;
  // The store updates these with the jobs.
  JobCounts counts;
  uint64_t steps_done = 0;  // over all jobs
  uint64_t open_steps = 0;  // over PENDING and RUNNING jobs
};

struct JobRow {
  JobId id = 0;
  SweepId sweep_id = 0;
  GroupId group_id = 0;
  uint32_t seed = 0;
  JobState state = JobState::kPending;
  uint32_t step = 0;             // last known step of the visible series
  uint32_t best_step = 0;        // greatest durable step ever; passing it is progress
  uint32_t checkpoint_step = 0;  // of the current checkpoint; 0: none
  AttemptNumber attempt = 0;
  uint32_t attempts = 0;
  uint32_t failures = 0;
  // Attempts up to here no longer count against the job (it was retried).
  AttemptNumber forgiven_attempt = 0;
  int64_t not_before_ms = 0;  // wall time before which the job is not granted
  std::string worker;         // name; empty unless RUNNING
  std::string reason;
  int64_t started_ms = 0;
  int64_t finished_ms = 0;
};

struct AttemptRow {
  JobId job_id = 0;
  AttemptNumber number = 0;
  std::string worker;
  std::string request_id;
  int64_t granted_ms = 0;
  int64_t ended_ms = 0;
  AttemptOutcome outcome = AttemptOutcome::kRunning;
  std::optional<FailureKind> failure;  // set if it failed
  AttemptMark mark = AttemptMark::kNone;
  std::string message;
  // The last step of its run. An extension of the sweep does not change it. 0 (older versions): the
  // group's.
  uint32_t steps = 0;
  uint32_t start_step = 0;
  uint32_t end_step = 0;
  uint32_t row_step = 0;       // of the last stored row, or start_step
  uint64_t last_sequence = 0;  // the number of the last durable record
  uint64_t log_bytes = 0;      // total written, including trimmed text
  std::string provenance;
  std::string log_tail;
};

// The file of a dropped checkpoint is being deleted. A bad checkpoint was unreadable and stays on
// record.
enum class CheckpointState { kListed = 1, kDropped = 2, kBad = 3 };

struct WorkerRow {
  std::string id;
  WorkerInfo info;
  bool draining = false;
  bool preempt = false;  // only with draining
  int64_t registered_ms = 0;
  int64_t last_seen_ms = 0;
  std::string superseded_host;  // as in Worker
  int64_t superseded_ms = 0;
  int64_t departed_ms = 0;  // when it said goodbye; 0: it has not
  std::string departed_reason = {};
};

struct StoredRow {
  AttemptNumber attempt = 0;
  bool archived = false;
  MetricRow row;
};

struct MetricsScan {
  JobId job_id = 0;
  uint32_t from_step = 0;
  std::vector<std::string> names;  // empty: all
  bool include_archived = false;
  // If set, only rows after (after_step, after_attempt), in order of (step, attempt).
  bool after = false;
  uint32_t after_step = 0;
  AttemptNumber after_attempt = 0;
};

// Steps that jobs would do again, over those that would do some.
struct RepeatedSteps {
  uint64_t jobs = 0;
  uint64_t steps = 0;
};

struct CheckpointSum {
  uint64_t count = 0;
  uint64_t bytes = 0;
};

// A part of a sweep that was deleted.
struct DeletedPart {
  uint64_t rows = 0;
  std::vector<Checkpoint> checkpoints;  // their files remain to be removed
  bool gone = false;                    // nothing of the sweep is left
};

struct LogChunk {
  uint64_t offset = 0;
  std::string text;
};

inline constexpr uint32_t kMaxAttemptsListed = 500;
// Limits on the different names that one job, and all jobs of a sweep, may report. A query for a
// job returns all its names, and memory keeps those of a sweep.
inline constexpr size_t kMaxMetricNamesPerJob = 2'000;
inline constexpr size_t kMaxMetricNamesPerSweep = 10'000;

// A set of job states for scans.
class StateSet {
 public:
  static StateSet All() { return StateSet(~0u); }
  StateSet() = default;
  explicit StateSet(const std::vector<JobState>& states) {
    for (const JobState state : states) mask_ |= 1u << static_cast<int>(state);
  }
  bool Has(JobState state) const { return (mask_ >> static_cast<int>(state)) & 1u; }
  uint32_t mask() const { return mask_; }

 private:
  explicit StateSet(uint32_t mask) : mask_(mask) {}
  uint32_t mask_ = 0;
};

// ---- operations -------------------------------------------------------------------------------

// Purpose: reads from one consistent snapshot (inside a write, including the transaction's own
// writes). Owner: the Store, for the duration of one call. Not thread-safe. Failure codes:
// NOT_FOUND (a Get without its row), INTERNAL (a word that this version does not know; the error
// names the row), otherwise those of Store. A callback returns false to stop a scan.
class ReadTransaction {
 public:
  virtual ~ReadTransaction() = default;

  // After this call, reads of this transaction fail with CANCELLED soon after `stop` returns true,
  // even in the middle of a long scan. The reading thread calls `stop` often.
  virtual void StopWhen(std::function<bool()> stop) = 0;

  virtual absl::StatusOr<std::vector<SweepRow>> ListSweeps() = 0;            // by id
  virtual absl::StatusOr<std::vector<SweepRow>> ListIncompleteSweeps() = 0;  // by id
  // Those with a group that is `continuing`.
  virtual absl::StatusOr<std::vector<SweepRow>> ListContinuingSweeps() = 0;  // by id
  virtual absl::StatusOr<std::vector<SweepRow>> ListDeletedSweeps() = 0;     // by id
  virtual absl::StatusOr<SweepRow> GetSweep(SweepId id) = 0;
  virtual absl::StatusOr<std::optional<SweepRow>> FindSweep(absl::string_view name) = 0;
  virtual absl::StatusOr<std::string> GetSpecBlob(SweepId id) = 0;
  virtual absl::StatusOr<std::vector<GroupRow>> ListGroups(SweepId sweep_id) = 0;  // by id
  // The same without run_json and point, of which a sweep with thousands of groups has megabytes.
  virtual absl::StatusOr<std::vector<GroupRow>> ListGroupCounts(SweepId sweep_id) = 0;

  // Oldest first.
  virtual absl::StatusOr<std::vector<Operation>> ListOperations(SweepId sweep_id,
                                                                uint32_t newest) = 0;

  // NOT_FOUND also for a job of a deleted sweep.
  virtual absl::StatusOr<JobRow> GetJob(JobId id) = 0;
  // Jobs with first <= id <= last in one of `states`, by id.
  virtual absl::Status ScanJobs(JobId first, JobId last, StateSet states,
                                absl::FunctionRef<bool(const JobRow&)> visit) = 0;
  // True if one of the jobs with first <= id <= last has had an attempt that counts.
  virtual absl::StatusOr<bool> AnyBegun(JobId first, JobId last) = 0;
  // Counts what SUCCEEDED jobs with first <= id <= last would do again, up to step `steps`, if they
  // went back to their newest checkpoint before it.
  virtual absl::StatusOr<RepeatedSteps> CountRepeatedSteps(JobId first, JobId last,
                                                           uint32_t steps) = 0;

  virtual absl::StatusOr<AttemptRow> GetAttempt(JobId job_id, AttemptNumber attempt) = 0;
  // Returns the newest kMaxAttemptsListed, by attempt. Each may hold 80 KB of text from its worker.
  virtual absl::StatusOr<std::vector<AttemptRow>> ListAttempts(JobId job_id) = 0;
  // Returns the open attempts granted to this request, by job.
  virtual absl::StatusOr<std::vector<AttemptRow>> FindOpenAttempts(
      absl::string_view worker, absl::string_view request_id) = 0;
  virtual absl::StatusOr<std::vector<JobEvent>> ListEvents(JobId job_id,
                                                           uint32_t newest) = 0;  // oldest first

  // Newest first: by step, then attempt, descending.
  virtual absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(JobId job_id,
                                                                  CheckpointState state) = 0;
  virtual absl::StatusOr<std::vector<Checkpoint>> ListDroppedCheckpoints(uint32_t limit) = 0;
  // Sums those of jobs with first <= id <= last whose files are not being deleted.
  virtual absl::StatusOr<CheckpointSum> SumCheckpoints(JobId first, JobId last) = 0;
  virtual absl::StatusOr<bool> IsRowDue(const Checkpoint& checkpoint) = 0;

  // Rows in order of (step, attempt).
  virtual absl::Status ScanMetrics(const MetricsScan& scan,
                                   absl::FunctionRef<bool(const StoredRow&)> visit) = 0;
  // Returns the first kMaxMetricNamesPerJob, by name. Older versions may have stored more.
  virtual absl::StatusOr<std::vector<MetricValue>> LatestMetrics(JobId job_id) = 0;
  // Returns the different names that a job has reported, visible or archived; at most `most` of
  // them.
  virtual absl::StatusOr<std::vector<std::string>> ListMetricNames(JobId job_id, size_t most) = 0;
  // Counts the names added with AddMetricName.
  virtual absl::StatusOr<uint64_t> CountMetricNames(SweepId sweep_id) = 0;
  virtual absl::StatusOr<bool> HasMetricName(SweepId sweep_id, absl::string_view name) = 0;
  // Counts the steps up to and including `step` that have a visible row.
  virtual absl::StatusOr<uint64_t> CountMetricSteps(JobId job_id, uint32_t step) = 0;

  // Returns chunks that start at or after `offset`, as many as fit in max_bytes (at least one).
  virtual absl::StatusOr<std::vector<LogChunk>> ReadLog(JobId job_id, AttemptNumber attempt,
                                                        uint64_t offset, uint64_t max_bytes) = 0;
  // 0: no attempt has a log.
  virtual absl::StatusOr<AttemptNumber> NewestLogAttempt(JobId job_id) = 0;

  virtual absl::StatusOr<std::vector<WorkerRow>> ListWorkers() = 0;  // by name
  virtual absl::StatusOr<std::optional<WorkerRow>> FindWorker(absl::string_view name) = 0;
  // Returns the greatest incarnation ever assigned to a process; 0: none was.
  virtual absl::StatusOr<uint64_t> GetIncarnations() = 0;

  virtual absl::StatusOr<std::vector<pools::PoolRow>> ListPools() = 0;  // by name
  // Those that have not ended, and those that ended at or after this time. By pool and sequence.
  virtual absl::StatusOr<std::vector<pools::AllocationRow>> ListAllocations(
      int64_t ended_since_ms) = 0;

  // Every later attempt number lies above this floor. 0 unless the data was once restored from a
  // backup: the attempts granted between the backup and the loss are unknown.
  virtual absl::StatusOr<AttemptNumber> GetAttemptFloor() = 0;
};

// Purpose: the writes of one transaction. Owner and threads: as above. After an error the caller
// must abandon the enclosing savepoint or transaction.
class WriteTransaction {
 public:
  virtual ~WriteTransaction() = default;

  virtual ReadTransaction& read() = 0;

  // Runs `body`. If it fails, undoes its writes and returns its error. The transaction continues,
  // unless the store itself had to roll everything back; then every later call fails, and so does
  // the transaction.
  virtual absl::Status Savepoint(absl::FunctionRef<absl::Status()> body) = 0;

  // Ids of sweeps, groups and jobs grow forever: what was deleted does not free its ids.
  virtual absl::StatusOr<SweepId> InsertSweep(const SweepRow& sweep,
                                              absl::string_view spec_blob) = 0;
  virtual absl::StatusOr<GroupId> InsertGroup(const GroupRow& group) = 0;
  // Reserves `count` consecutive ids for the jobs of a new group, all PENDING. Sets its first_job,
  // jobs and counts, and the sweep's unfinished and jobs_missing. Returns first_job.
  virtual absl::StatusOr<JobId> ReserveJobs(SweepId sweep_id, GroupId group_id, uint64_t count) = 0;
  // Inserts one PENDING job for each seed, with ids from `first` on, all reserved for the group.
  virtual absl::Status InsertJobs(SweepId sweep_id, GroupId group_id, JobId first,
                                  absl::Span<const uint32_t> seeds) = 0;
  // Makes a sweep a deleted one and frees its name.
  virtual absl::Status MarkSweepDeleted(SweepId id) = 0;
  // Deletes about `limit` rows that belong to an incomplete or a deleted sweep and, once there are
  // none, the sweep.
  virtual absl::StatusOr<DeletedPart> DeletePartOfSweep(SweepId id, uint64_t limit) = 0;
  // Replaces the spec of a group, except its point.
  virtual absl::Status UpdateGroup(const GroupRow& group) = 0;
  virtual absl::Status SetGroupContinuing(GroupId id, bool continuing) = 0;
  // Replaces the priority, max_failures and steps_total of a sweep, and its spec.
  virtual absl::Status UpdateSweep(const SweepRow& sweep, absl::string_view spec_blob) = 0;
  // Keeps only the newest `keep` operations of a sweep.
  virtual absl::Status InsertOperation(SweepId sweep_id, const Operation& operation,
                                       uint32_t keep) = 0;
  virtual absl::Status SetSweepPaused(SweepId id, bool paused) = 0;
  virtual absl::Status SetSweepFinished(SweepId id, int64_t finished_ms) = 0;
  virtual absl::Status SetSweepNote(SweepId id, absl::string_view note) = 0;
  virtual absl::Status SetSweepTags(SweepId id, const std::vector<std::string>& tags) = 0;
  // Replaces `before` (as read in this transaction) and updates the counters of the group and the
  // sweep. INTERNAL if the stored state or attempt differs.
  virtual absl::Status UpdateJob(const JobRow& before, const JobRow& after) = 0;

  virtual absl::Status InsertAttempt(const AttemptRow& attempt) = 0;
  virtual absl::Status UpdateAttempt(const AttemptRow& attempt) = 0;
  virtual absl::Status InsertEvent(JobId job_id, const JobEvent& event) = 0;

  virtual absl::Status InsertMetricRow(JobId job_id, AttemptNumber attempt,
                                       const MetricRow& row) = 0;
  // Adds a name to those of the sweep, unless it is already there.
  virtual absl::Status AddMetricName(SweepId sweep_id, const std::string& name) = 0;
  // Moves rows after `step` out of the visible series. Returns the number of values moved.
  virtual absl::StatusOr<uint64_t> ArchiveMetrics(JobId job_id, uint32_t step) = 0;

  // row_due: the checkpoint was written before the row of its own step.
  virtual absl::Status InsertCheckpoint(const Checkpoint& checkpoint, bool row_due) = 0;
  virtual absl::Status SetCheckpointState(JobId job_id, AttemptNumber attempt, uint32_t step,
                                          CheckpointState state) = 0;
  virtual absl::Status DeleteDroppedCheckpoints(JobId job_id) = 0;

  virtual absl::Status AppendLog(JobId job_id, AttemptNumber attempt, uint64_t offset,
                                 absl::string_view text) = 0;
  // Removes chunks that start before `offset`.
  virtual absl::Status TrimLog(JobId job_id, AttemptNumber attempt, uint64_t offset) = 0;

  virtual absl::Status PutWorker(const WorkerRow& worker) = 0;  // keyed by name
  virtual absl::Status SetIncarnations(uint64_t greatest) = 0;
  virtual absl::Status SetAttemptFloor(AttemptNumber floor) = 0;
  virtual absl::Status DeleteWorker(const std::string& name) = 0;

  virtual absl::Status PutPool(const pools::PoolRow& pool) = 0;                    // keyed by name
  virtual absl::Status PutAllocation(const pools::AllocationRow& allocation) = 0;  // keyed by key
  // Deletes those that ended before this time.
  virtual absl::Status DeleteAllocations(int64_t ended_before_ms) = 0;
};

// Purpose: durable state behind transactions.
// Owner: main; outlives the coordinator. Threads: RunInTransaction from one thread at a time, Read
// from any. Failure codes: RESOURCE_EXHAUSTED (disk full), INTERNAL (I/O error, corruption). A
// failed transaction changes nothing. Durability: once RunInTransaction returns OK, its writes
// survive a power failure.
class Store {
 public:
  virtual ~Store() = default;

  virtual absl::Status RunInTransaction(
      absl::FunctionRef<absl::Status(WriteTransaction&)> body) = 0;
  // Waits for a free reader connection.
  virtual absl::Status Read(absl::FunctionRef<absl::Status(ReadTransaction&)> body) = 0;
  // Identifies this data forever.
  virtual std::string store_id() const = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_STORE_H_
