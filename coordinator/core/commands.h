// What each writing call does inside its transaction: check, write, say what to apply after the
// commit. Failure codes: coordinator.h.
#ifndef COPPICE_COORDINATOR_CORE_COMMANDS_H_
#define COPPICE_COORDINATOR_CORE_COMMANDS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/caller.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/writer.h"

namespace coppice::core {

// ---- submissions (submit_commands.cc)

// A sweep on its way into the store. Its jobs are stored in parts, group after group; until the
// last one is there it is invisible and nothing of it is granted.
struct Submission {
  std::shared_ptr<const SweepSpec> spec;  // checked (planner.h)
  Caller caller;
  Plan plan;
  SweepRow sweep;
  std::vector<GroupRow> groups;

  uint64_t jobs() const { return plan.jobs; }
  // So few that it shares a batch with other commands.
  bool small() const { return jobs() <= 100; }
};
// What a step of a submission came to: one of the first three, and for a step that stored jobs, how
// many there are now.
struct SubmitStep {
  std::optional<SubmitResult> result;  // it is done
  std::optional<Submission> begun;     // the first step: with its ids
  SweepId leftover = 0;                // one that broke off has to be taken back first
  uint64_t inserted = 0;
};
absl::StatusOr<SubmitStep> BeginSubmit(CommandContext& tx, const Submission& submission);
absl::StatusOr<SubmitStep> ContinueSubmit(CommandContext& tx, const Submission& submission,
                                          uint64_t inserted);
// Deletes a part of a submission that has broken off; true: nothing of it is left.
absl::StatusOr<bool> TakeBackSubmit(CommandContext& tx, SweepId id);

// ---- sweeps (sweep_commands.cc)

// Keeps on record, and logs once it is committed, what a client asked of a sweep.
absl::Status NoteOperation(CommandContext& tx, SweepId id, const std::string& sweep,
                           const Caller& caller, const std::string& action,
                           const std::string& detail);
absl::StatusOr<SweepSummary> SetSweepPaused(CommandContext& tx, const Caller& caller,
                                            const std::string& name, bool paused);

// A part of a bulk change: a sweep may have millions of jobs, and leases must be renewed meanwhile.
struct BulkPart {
  uint64_t changed = 0;
  JobId next_after = 0;  // 0: that was the last part
};
inline constexpr uint32_t kBulkPart = 2000;
inline constexpr uint64_t kBulkLooks = 50'000;  // jobs that a part looks at, also when few change
absl::StatusOr<BulkPart> CancelPart(CommandContext& tx, const Caller& caller,
                                    const JobFilter& filter, JobId after);
absl::StatusOr<BulkPart> RetryPart(CommandContext& tx, const Caller& caller,
                                   const JobFilter& filter, JobId after);

// ---- workers (registration.cc, worker_commands.cc)

// `new_id` names the worker unless this process is already registered. OK also where the process is
// not registered: the answer says why.
absl::StatusOr<Registration> RegisterWorker(CommandContext& tx, const WorkerInfo& info,
                                            const std::vector<HeldLease>& held,
                                            const std::string& new_id);
absl::StatusOr<HeartbeatResult> TakeHeartbeat(CommandContext& tx, const std::string& worker_id,
                                              const std::vector<HeldLease>& held, bool draining);
absl::StatusOr<Worker> DrainWorker(CommandContext& tx, const Caller& caller,
                                   const std::string& name_or_id, bool preempt, bool undo);
std::vector<Worker> ListWorkers(const CommandContext& tx);
absl::Status ExpireLease(CommandContext& tx, const LeaseRef& lease);
// Ends the running attempt of `job` as lost (lost_attempts.h).
absl::Status LoseAttempt(CommandContext& tx, const JobRow& job, const std::string& message);

// ---- grants (grants.cc)

// Checks a request; a grant when this request already got leases that are current; nothing when it
// has to wait.
absl::StatusOr<std::optional<LeaseGrant>> BeginAcquire(CommandContext& tx,
                                                       const AcquireRequest& request);
// Takes waiters out of memory.waiters and plans a grant for each as far as there is work, until the
// grants have `jobs_left` jobs (the last one may have more), which is lowered. Waiters whose
// callers or workers have gone are answered through `reply`. Suspect workers wait while another one
// is connected.
std::vector<Command> PlanGrants(Memory& memory, absl::Duration now, size_t& jobs_left,
                                const std::function<void(std::function<void()>)>& reply);

// ---- reports (report_commands.cc)

inline constexpr uint64_t kMaxLogBytes = 1 << 20;   // kept of an attempt's log, the newest
inline constexpr size_t kMaxRecordText = 64 << 10;  // of one log or provenance record
inline constexpr size_t kMaxLogTail = 16 << 10;     // of a failure
inline constexpr size_t kMaxValuesPerRow = 1000;
inline constexpr size_t kMaxMetricName = 128;
// Begins the reason of an attempt that ended because reports before one that came are missing.
inline constexpr char kReportsMissing[] =
    "the coordinator's disk has lost reports that it had taken";

absl::StatusOr<std::vector<RecordAck>> AppendRecords(CommandContext& tx,
                                                     const std::string& worker_id,
                                                     const std::vector<Record>& records);
// Report steps up to and including `step`: the multiples of report_every, and the last step.
uint64_t ReportSteps(const GroupSpec& spec, uint32_t step);

// ---- ends of attempts (attempt_commands.cc)

absl::Status CompleteJob(CommandContext& tx, const AttemptEnd& end);
absl::Status FailJob(CommandContext& tx, const AttemptEnd& end);
absl::Status ReleaseLease(CommandContext& tx, const AttemptEnd& end);
// How long a job waits after its nth charged failure.
absl::Duration FailureBackoff(uint32_t failures);

// ---- checkpoints (checkpoint_commands.cc)

absl::Status CommitCheckpoint(CommandContext& tx, const CheckpointCommit& commit);
// What CommitCheckpoint would refuse whatever the file holds: a stale lease, a path outside of the
// attempt's folder, a step that is none of its.
absl::Status CheckUpload(CommandContext& tx, const CheckpointCommit& announced);
absl::StatusOr<std::optional<Checkpoint>> RejectCheckpoint(CommandContext& tx,
                                                           const CheckpointCommit& checkpoint,
                                                           const std::string& reason);
// Which of a job's listed checkpoints (newest first) go: all but the newest `keep` and the
// multiples of keep_every.
std::vector<Checkpoint> BeyondRetention(const std::vector<Checkpoint>& listed,
                                        const GroupSpec& spec);

// ---- explain.cc

absl::StatusOr<Explanation> ExplainJob(CommandContext& tx, JobId id);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_COMMANDS_H_
