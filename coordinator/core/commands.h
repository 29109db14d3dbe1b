// The transaction of each writing call: check, write, and list the effects to apply after the
// commit. Failure codes: coordinator.h.
#ifndef COPPICE_COORDINATOR_CORE_COMMANDS_H_
#define COPPICE_COORDINATOR_CORE_COMMANDS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/attempt_state.h"
#include "coordinator/core/caller.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/dispatch/dispatcher.h"
#include "coordinator/core/extension_plan.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/writer.h"

namespace coppice::core {

// ---- submissions (submit_commands.cc)

// A sweep that is being stored. Its jobs are stored in parts, group by group. Until the last part
// is stored, the sweep is invisible and none of its jobs is granted.
struct Submission {
  std::shared_ptr<const SweepSpec> spec;  // checked (planner.h)
  Caller caller;
  Plan plan;
  SweepRow sweep;
  std::vector<GroupRow> groups;

  uint64_t jobs() const { return plan.jobs; }
  // True if the sweep has few enough jobs to share a batch with other commands.
  bool small() const { return jobs() <= 100; }
};
// The outcome of one step of a submission. At most one of the first three members is set.
// `inserted` is the number of jobs stored so far, after a step that stored jobs.
struct SubmitStep {
  std::optional<SubmitResult> result;  // set when the submission is complete
  std::optional<Submission> begun;     // set after the first step; has the ids
  SweepId leftover = 0;                // an interrupted submission to take back first
  uint64_t inserted = 0;
};
absl::StatusOr<SubmitStep> BeginSubmit(CommandContext& tx, const Submission& submission);
absl::StatusOr<SubmitStep> ContinueSubmit(CommandContext& tx, const Submission& submission,
                                          uint64_t inserted);
// Deletes one part of an interrupted submission. True: nothing of it is left.
absl::StatusOr<bool> TakeBackSubmit(CommandContext& tx, SweepId id);

// ---- extensions (extend_commands.cc)

// The outcome of one step of an extension.
struct ExtendStep {
  Extension extension;                // of the first step
  JobId next_after = 0;               // the next step begins behind this job; 0: that was the last
  std::optional<SweepSummary> sweep;  // after the last step
};
// Stores the whole extension. Jobs that must follow it to more steps do so in this step and in
// further ones: each group of which some have not is `continuing`. ABORTED, NOT_FOUND,
// FAILED_PRECONDITION: the sweep has changed, is gone, or its jobs have begun, since the plan was
// made.
absl::StatusOr<ExtendStep> BeginExtend(CommandContext& tx, const Caller& caller,
                                       const std::string& spec_blob, ExtensionPlan plan);
absl::StatusOr<ExtendStep> ContinueExtend(CommandContext& tx, SweepId id, JobId after);
// The action that an extension is noted as.
inline constexpr char kExtendedAction[] = "extended";

// ---- deletions (delete_commands.cc)

// Fails as the deletion would.
absl::Status CheckDeletable(const SweepRow& sweep, const std::vector<GroupRow>& groups,
                            const Deletion& deletion);
// Makes the sweep a deleted one. Returns it as it was.
absl::StatusOr<SweepSummary> MarkDeleted(CommandContext& tx, const Caller& caller,
                                         const Deletion& deletion);
// Deletes one part of a deleted sweep. True: nothing of it is left.
absl::StatusOr<bool> DeletePart(CommandContext& tx, SweepId id);

// ---- sweeps (sweep_commands.cc)

// Records a client's request for a sweep, and logs it once it is committed.
absl::Status NoteOperation(CommandContext& tx, SweepId id, const std::string& sweep,
                           const Caller& caller, const std::string& action,
                           const std::string& detail);
// The action that the end of a pause is noted as.
inline constexpr char kResumedAction[] = "resumed";
absl::StatusOr<SweepSummary> SetSweepPaused(CommandContext& tx, const Caller& caller,
                                            const std::string& name, bool paused);
absl::StatusOr<SweepSummary> AnnotateSweep(CommandContext& tx, const Caller& caller,
                                           const Annotation& annotation);

// One part of a bulk change. A sweep may have millions of jobs, and leases must be renewed between
// the parts.
struct BulkPart {
  uint64_t changed = 0;
  JobId next_after = 0;  // 0: that was the last part
};
inline constexpr uint32_t kBulkPart = 2000;
inline constexpr uint64_t kBulkJobsRead = 50'000;  // jobs that a part may read, even if few change
absl::StatusOr<BulkPart> CancelPart(CommandContext& tx, const Caller& caller,
                                    const JobFilter& filter, JobId after);
absl::StatusOr<BulkPart> RetryPart(CommandContext& tx, const Caller& caller,
                                   const JobFilter& filter, JobId after);

// ---- workers (registration.cc, worker_commands.cc, worker_departure.cc)

// `new_id` becomes the worker's id unless this process is already registered. OK also if the
// process is not registered; the answer then gives the reason.
absl::StatusOr<Registration> RegisterWorker(CommandContext& tx, const WorkerInfo& info,
                                            const std::vector<HeldLease>& held,
                                            const std::string& new_id);
absl::StatusOr<HeartbeatResult> TakeHeartbeat(CommandContext& tx, const std::string& worker_id,
                                              const std::vector<HeldLease>& held,
                                              const BeatState& state);
absl::StatusOr<Worker> DrainWorker(CommandContext& tx, const Caller& caller,
                                   const std::string& name_or_id, bool preempt, bool undo);
// Takes the goodbye of a worker process. NOT_FOUND: no such process is registered.
absl::Status LeaveWorker(CommandContext& tx, const Departure& departure);
// Returns the name of the worker that was forgotten.
absl::StatusOr<std::string> ForgetWorker(CommandContext& tx, const Caller& caller,
                                         const std::string& name_or_id);
absl::string_view ExitReasonText(ExitReason reason);
std::vector<Worker> ListWorkers(const CommandContext& tx);
absl::Status ExpireLease(CommandContext& tx, const LeaseRef& lease);
// Ends the running attempt of `job` as lost (lost_attempts.h).
absl::Status LoseAttempt(CommandContext& tx, const JobRow& job, const std::string& message);

// ---- grants (grant_commands.cc)

// Returns a grant if this request already has current leases. Otherwise the request becomes a
// waiter, which gets its grant by `done` (an empty one if the wait ends before there is work), and
// nothing is returned.
absl::StatusOr<std::optional<LeaseGrant>> AcquireLeases(CommandContext& tx,
                                                        const AcquireRequest& request,
                                                        std::function<bool()> cancelled,
                                                        Coordinator::Done<LeaseGrant> done);
// Makes the command that stores a planned grant, and answers its waiter.
Command GrantCommand(Dispatcher::Grant plan);

// ---- records of an attempt (record_commands.cc)

// Bytes of an attempt's log that are kept: the newest.
inline constexpr uint64_t kKeptLogBytes = 1 << 20;
inline constexpr size_t kMaxValuesPerRow = 1000;
// The beginning of the reason of an attempt that ended because earlier records are missing.
inline constexpr char kReportsMissing[] =
    "the coordinator's disk has lost reports that it had taken";

absl::StatusOr<std::vector<AttemptAnswer>> AppendRecords(CommandContext& tx,
                                                         const std::string& worker_id,
                                                         const std::vector<Record>& records);
// The codes of CurrentLease.
absl::StatusOr<AttemptState> LoadAttempt(CommandContext& tx, const std::string& worker_id,
                                         const LeaseRef& lease);
// Stores the rows of an attempt that goes on.
absl::Status StoreRunning(CommandContext& tx, AttemptState& state);
// Returns the number of report steps up to and including `step`, in a run of `steps`: the multiples
// of `every`, and the last step.
uint64_t ReportSteps(uint32_t every, uint32_t steps, uint32_t step);

// ---- ends of attempts (attempt_commands.cc)

// Each ends the attempt and stores its rows, or sets `refusal` and changes nothing.
absl::Status TakeEnd(CommandContext& tx, AttemptState& state, const Completion& end,
                     absl::Status& refusal);
absl::Status TakeEnd(CommandContext& tx, AttemptState& state, const Failure& end,
                     absl::Status& refusal);
absl::Status TakeEnd(CommandContext& tx, AttemptState& state, const Release& end,
                     absl::Status& refusal);
// Returns a job's backoff after its nth charged failure.
absl::Duration FailureBackoff(uint32_t failures);

// ---- checkpoints (checkpoint_commands.cc)

// Makes the checkpoint the job's current one, or sets `outcome`. Without effect if the checkpoint
// is the current one already, or if a later one of the attempt has overtaken it.
absl::Status TakeCheckpoint(CommandContext& tx, AttemptState& state,
                            const CheckpointRecord& checkpoint, RecordOutcome& outcome);
// Fails if TakeCheckpoint would refuse the checkpoint whatever the file holds: a stale lease, a
// path outside the attempt's folder, or a step that the attempt cannot have.
absl::Status CheckUpload(CommandContext& tx, const NamedCheckpoint& announced);
absl::StatusOr<std::optional<Checkpoint>> RejectCheckpoint(CommandContext& tx,
                                                           const NamedCheckpoint& checkpoint,
                                                           const std::string& reason);
// Returns the listed checkpoints of a job (newest first) that retention drops: all but the newest
// `keep` and the multiples of keep_every.
std::vector<Checkpoint> BeyondRetention(const std::vector<Checkpoint>& listed,
                                        const GroupSpec& spec);

// ---- pools (pool_commands.cc)

// Also forgets allocations that ended long ago.
absl::StatusOr<pools::PoolsLoaded> LoadPools(CommandContext& tx, int64_t ended_since_ms);
absl::Status SavePools(CommandContext& tx, const std::vector<pools::PoolRow>& pools,
                       const std::vector<pools::AllocationRow>& allocations);

// ---- explain.cc

absl::StatusOr<Explanation> ExplainJob(CommandContext& tx, JobId id);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_COMMANDS_H_
