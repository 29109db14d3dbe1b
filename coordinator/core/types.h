// The coordinator's vocabulary: plain values, free of SQLite and protobuf.
#ifndef COPPICE_COORDINATOR_CORE_TYPES_H_
#define COPPICE_COORDINATOR_CORE_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/failure_kind.h"
#include "coordinator/core/outcomes.h"

namespace coppice::core {

using SweepId = uint64_t;
using GroupId = uint64_t;
using JobId = uint64_t;
using AttemptNumber = uint64_t;  // raised by each grant of a job; an older one is refused (fencing)

// Stored as these numbers.
enum class JobState { kPending = 1, kRunning = 2, kSucceeded = 3, kFailed = 4, kCancelled = 5 };

struct JobCounts {
  uint64_t pending = 0;
  uint64_t running = 0;
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  uint64_t cancelled = 0;

  uint64_t total() const { return pending + running + succeeded + failed + cancelled; }
  uint64_t unfinished() const { return pending + running; }
};

// ---- plan -------------------------------------------------------------------------------------

// The place on one axis of a grid. Axis and value hold letters, digits, '_', '.', '+' and '-'.
struct Coordinate {
  std::string axis;
  std::string value;
  friend bool operator==(const Coordinate&, const Coordinate&) = default;
};

// The place on all axes but seed, outermost first. Empty: task and depth are the axes, or there are
// none.
using Point = std::vector<Coordinate>;

// Jobs that differ only in seed. `run_json` is the trainer's `run` object, opaque to the core.
struct GroupSpec {
  std::string task;  // empty: a program of the user's own, whose depth is 0
  uint32_t depth = 0;
  std::string run_json;
  uint32_t steps = 0;
  uint32_t report_every = 0;
  uint32_t checkpoint_every = 0;
  uint32_t keep = 2;
  uint32_t keep_every = 0;
  double work_per_step = 0;  // multiply-adds of one seed
  Point point = {};
  // The most jobs that one process of a user's own program takes. 0: Coppice's trainer, for which
  // each worker says how many.
  uint32_t program_pack = 0;
  // A row at a multiple of this step is the same in runs of any length. A last row at another step
  // would be missing in a longer run, or hold fewer values. 0: report_every.
  uint32_t common_row_every = 0;
};

// A valid, resolved sweep: the grid is groups x seeds.
struct SweepSpec {
  std::string name;
  // The user's spec in canonical serialized form: equal blobs mean the same sweep.
  std::string spec_blob;
  int32_t priority = 0;
  uint32_t max_failures = 3;
  std::vector<GroupSpec> groups;
  std::vector<uint32_t> seeds;
  std::vector<std::string> tags = {};  // sorted, each once; no part of what the sweep is
};

struct GroupSummary {
  GroupId id = 0;
  GroupSpec spec;
  JobCounts counts;
  uint64_t steps_done = 0;
};

struct SweepSummary {
  SweepId id = 0;
  std::string name;
  bool paused = false;
  int32_t priority = 0;
  int64_t created_ms = 0;
  int64_t finished_ms = 0;
  JobCounts counts;
  uint64_t steps_done = 0;
  uint64_t steps_total = 0;
  double seed_steps_per_second = 0;
  double eta_seconds = -1;
  uint64_t workers = 0;
  uint64_t silent_jobs = 0;     // running jobs whose trainer has made no progress for a while
  uint32_t silent_seconds = 0;  // the longest time among them
  std::string note = {};
  std::vector<std::string> tags = {};  // sorted, each once
};

// A client's request for a sweep, and the client's name.
struct Operation {
  int64_t time_ms = 0;
  std::string action;  // "submitted", "paused", "cancelled jobs", "noted", "tagged" ...
  std::string who;     // caller.h
  std::string detail;  // e.g. which jobs
};

struct SweepDetails {
  SweepSummary summary;
  std::string spec_blob;
  std::vector<GroupSummary> groups;
  std::vector<Operation> operations;  // the newest, oldest first
};

struct Plan {
  std::vector<GroupSummary> groups;
  uint64_t jobs = 0;
  uint64_t packs = 0;
  uint32_t pack_width = 0;
  double expected_work = 0;
  uint64_t steps_total = 0;
};

struct SubmitResult {
  SweepSummary sweep;
  Plan plan;
  bool created = false;
};

// The sweep to delete.
struct Deletion {
  std::string name;
  SweepId id = 0;  // not 0: only if the sweep has this id
  bool dry_run = false;
};

// A deleted sweep, or one that a dry run would delete.
struct DeletedSweep {
  SweepSummary sweep;  // as it was
  uint64_t checkpoints = 0;
  uint64_t checkpoint_bytes = 0;
};

// A change of what people wrote about a sweep.
struct Annotation {
  std::string name;                 // of the sweep
  std::optional<std::string> note;  // replaces the note; empty: removes it
  std::vector<std::string> add_tags;
  std::vector<std::string> remove_tags;
};
inline constexpr size_t kMaxTags = 20;  // of a sweep

// ---- jobs -------------------------------------------------------------------------------------

struct MetricValue {
  std::string name;
  double value = 0;
};

struct MetricRow {
  uint32_t step = 0;
  std::vector<MetricValue> values;
};

struct Job {
  JobId id = 0;
  SweepId sweep_id = 0;
  GroupId group_id = 0;
  std::string sweep;
  std::string task;
  uint32_t depth = 0;
  Point point;
  uint32_t seed = 0;
  JobState state = JobState::kPending;
  uint32_t step = 0;
  uint32_t steps = 0;
  AttemptNumber attempt = 0;
  uint32_t attempts = 0;
  uint32_t failures = 0;
  std::string worker;
  std::string reason;
  int64_t created_ms = 0;
  int64_t started_ms = 0;
  int64_t finished_ms = 0;
  uint32_t checkpoint_step = 0;
  bool sweep_paused = false;
  uint32_t silent_seconds = 0;  // since its trainer's last progress, if that is long ago
  std::vector<MetricValue> latest;
};

// One of these values of an axis. The axis may be task, depth or seed too.
struct AxisCondition {
  std::string axis;
  std::vector<std::string> values;
};

struct JobFilter {
  std::string sweep;  // empty: all sweeps (only with job_ids)
  std::vector<JobId> job_ids;
  std::vector<std::string> tasks;
  std::vector<uint32_t> depths;
  std::vector<uint32_t> seeds;
  std::vector<JobState> states;
  std::vector<AxisCondition> where;  // all of them hold
};

struct JobPage {
  std::vector<Job> jobs;
  JobId next_after = 0;  // pass as `after` for the next page; 0: that was the last
};

struct Attempt {
  AttemptNumber number = 0;
  std::string worker;
  int64_t granted_ms = 0;
  int64_t ended_ms = 0;
  AttemptOutcome outcome = AttemptOutcome::kRunning;
  std::string message;
  uint32_t start_step = 0;
  uint32_t end_step = 0;
  std::string provenance;
};

struct JobEvent {
  int64_t time_ms = 0;
  AttemptNumber attempt = 0;
  EventType type = EventType::kSubmitted;
  std::string message;
};

struct Checkpoint {
  JobId job_id = 0;
  AttemptNumber attempt = 0;
  uint32_t step = 0;
  std::string path;  // relative to the checkpoint root
  std::string digest;
  uint64_t bytes = 0;
  int64_t committed_ms = 0;
};

struct JobDetails {
  Job job;
  std::string run_json;
  std::vector<Attempt> attempts;
  std::vector<JobEvent> events;
  std::vector<Checkpoint> checkpoints;  // newest first; the first is current
};

struct Explanation {
  Job job;
  std::vector<std::string> reasons;
};

struct JobMetrics {
  JobId job_id = 0;
  std::string task;
  uint32_t depth = 0;
  uint32_t seed = 0;
  AttemptNumber attempt = 0;
  bool archived = false;
  MetricRow row;
  Point point = {};
};

struct MetricsQuery {
  JobFilter filter;
  std::vector<std::string> names;
  uint32_t from_step = 0;
  bool include_archived = false;
};

// Rows come in order of (job, step). For the next page pass `next` as `after`, until `end`.
struct MetricsCursor {
  JobId job_id = 0;
  uint32_t step = 0;
  AttemptNumber attempt = 0;
  bool begun = false;
};
struct MetricsPage {
  std::vector<JobMetrics> rows;
  MetricsCursor next;
  bool end = false;
};

struct LogPage {
  AttemptNumber attempt = 0;
  std::string text;
  uint64_t next = 0;  // pass as `after` to continue
  bool job_ended = false;
};

// ---- workers ----------------------------------------------------------------------------------

struct LeaseRef {
  JobId job_id = 0;
  AttemptNumber attempt = 0;
  friend bool operator==(const LeaseRef&, const LeaseRef&) = default;
};

struct HeldLease {
  LeaseRef lease;
  uint32_t step = 0;
  double steps_per_second = 0;
  uint32_t slot = 0;
  uint64_t silent_ms = 0;  // since its trainer's last progress
  uint64_t stall_ms = 0;   // the limit of that; 0: no trainer runs
};

// The place that a batch system gave to a worker. All empty: no batch system is known.
struct Allocation {
  std::string system;  // "slurm", "kubernetes"
  std::string cluster;
  std::string job_id;      // as the batch system's users know it
  std::string raw_job_id;  // as its commands take it
  std::string partition;
  std::string node;
  uint32_t proc_id = 0;
  uint32_t restarts = 0;
  std::string pool_key;           // of the pool's submission; empty: no pool made it
  std::vector<std::string> gpus;  // one a slot
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

struct WorkerInfo {
  std::string name;
  std::string instance;
  std::string host;
  std::string version;
  uint32_t slots = 0;
  uint32_t pack_width = 0;
  std::string device;
  bool shared_checkpoints = false;
  int64_t ends_ms = 0;  // end of its walltime; 0: none is known
  // The number of the process among those of its name; newer processes have greater ones. In a
  // registration: the number that the coordinator last assigned to the process; 0: none yet.
  uint64_t incarnation = 0;
  Allocation allocation = {};
  bool programs = false;  // it runs programs of the users' own
};

// The state of a worker beside its leases, as a heartbeat reports it.
struct BeatState {
  bool draining = false;    // on its own
  int64_t ends_ms = 0;      // as in WorkerInfo
  uint32_t idle_slots = 0;  // without work for a minute, or for a shorter idle limit
};

// The reason that a worker process gives for its end.
enum class ExitReason { kStopped, kPreempted, kWalltime, kIdle, kDrained, kFailed };

// The goodbye of a worker process.
struct Departure {
  std::string worker_id;
  ExitReason reason = ExitReason::kStopped;
  std::string message;  // for people
};

struct Worker {
  std::string id;
  WorkerInfo info;
  bool draining = false;
  bool connected = false;
  int64_t registered_ms = 0;
  int64_t last_seen_ms = 0;
  uint32_t running_jobs = 0;
  int64_t suspect_until_ms = 0;  // 0: trusted
  std::string suspect_reason;
  std::string superseded_host;  // host of the older process of the name that was last refused
  int64_t superseded_ms = 0;    // wall time of that refusal; 0: none
  // Time of its goodbye, or of its last call if that is long ago. 0: it has not departed.
  int64_t departed_ms = 0;
  std::string departed_reason;
  uint32_t idle_slots = 0;
};

// A newer process of the same name.
struct Superseder {
  std::string host;
  int64_t since_ms = 0;
};

struct Registration {
  std::string worker_id;  // empty: not registered; `confirm` or `superseded_by` gives the reason
  uint32_t heartbeat_interval_ms = 0;
  uint32_t lease_ms = 0;
  std::string store_id;
  uint64_t incarnation = 0;
  bool confirm = false;  // the worker must register again with this incarnation
  std::optional<Superseder> superseded_by = std::nullopt;
};

struct AcquireRequest {
  std::string worker_id;
  std::string request_id;
  uint32_t slot = 0;
  uint32_t pack_width = 1;
  uint32_t wait_ms = 0;
  bool measures = false;  // grant one job of a group whose best width this worker has not reported
};

struct Lease {
  LeaseRef ref;
  uint32_t seed = 0;
  std::optional<Checkpoint> resume;
  std::string checkpoint_dir;  // relative to the checkpoint root
  std::string sweep;
};

struct LeaseGrant {
  std::vector<Lease> leases;  // empty: no work within wait_ms
  std::string run_json;
  bool unmeasured = false;  // one job, because its best width is not reported; more may be pending
};

enum class DirectiveAction { kContinue, kPreempt, kStop };

struct Directive {
  LeaseRef lease;
  DirectiveAction action = DirectiveAction::kContinue;
  std::string reason;
};

struct HeartbeatResult {
  std::vector<Directive> directives;
  bool drain = false;
};

// ---- records of an attempt --------------------------------------------------------------------

struct LogText {
  std::string text;
};

struct TrainerStart {
  std::string provenance;  // JSON
  uint32_t step = 0;       // the step at which the trainer started
};

struct CheckpointRecord {
  uint32_t step = 0;
  std::string path;    // relative to the checkpoint root
  std::string digest;  // XXH3-128 of the file, 32 hex digits
  uint64_t bytes = 0;
  // Not empty: the worker could not deliver the file, or the coordinator does not find it. The
  // record is taken without its checkpoint, and this is the reason.
  std::string left_out = {};
};

struct Completion {
  uint32_t step = 0;
};

struct Failure {
  uint32_t step = 0;
  FailureKind kind = FailureKind::kInternal;
  std::string message;
  std::string log_tail = {};
};

struct Release {
  // Preemption, drain or shutdown ended the training.
  struct Preempted {};
  // No trainer was started.
  struct Untrained {};
  // Nothing was saved.
  struct Lost {};
  // A pack of this width did not fit the device.
  struct TooWide {
    uint32_t width = 0;
  };
  // The best pack width of the group on the worker. No trainer was started.
  struct Measured {
    uint32_t width = 0;
  };
  using Cause = std::variant<Preempted, Untrained, Lost, TooWide, Measured>;

  uint32_t step = 0;  // of the attempt's last checkpoint, or else its start
  std::string reason;
  Cause cause = {};
};

// Content that could not be decoded. The record is refused under its number.
struct Malformed {
  std::string fault;
};

// Completion, Failure and Release end the attempt.
using RecordContent = std::variant<MetricRow, LogText, TrainerStart, CheckpointRecord, Completion,
                                   Failure, Release, Malformed>;

// A record of an attempt's stream. Its number is 1 for the first of the attempt, then 2, 3 ...
struct Record {
  LeaseRef lease;
  uint64_t number = 0;
  RecordContent content;
};

// A checkpoint whose record was taken without it.
struct Omission {
  uint64_t number = 0;
  std::string reason;
};

// The answer to the records of one attempt.
struct AttemptAnswer {
  LeaseRef lease;
  uint64_t number = 0;  // every record up to this one is durable
  // The attempt is over. If `number` covers its end, the end was taken; otherwise something else
  // ended it.
  bool over = false;
  // Of the record after `number`. INVALID_ARGUMENT (the record is wrong) or FAILED_PRECONDITION (a
  // completion whose rows or last checkpoint are missing); OK: none is refused.
  absl::Status refusal = {};
  std::vector<Omission> omissions = {};
};

// A checkpoint of a lease, as the worker names it in a call of its own. A call that only names a
// stored one sets neither digest nor size.
struct NamedCheckpoint {
  std::string worker_id;
  LeaseRef lease;
  uint32_t step = 0;
  std::string path;  // relative to the checkpoint root
  std::string digest = {};
  uint64_t bytes = 0;
};

struct ServerInfo {
  std::string store_id;
  int64_t started_ms = 0;
  std::string checkpoint_root;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_TYPES_H_
