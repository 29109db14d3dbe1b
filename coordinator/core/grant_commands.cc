// Stores requests for work and their grants. dispatch/dispatcher.h decides who gets work.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/dispatch/pack_rules.h"

namespace coppice::core {
namespace {

constexpr absl::Duration kMaxWait = absl::Minutes(10);

absl::StatusOr<std::optional<Checkpoint>> CurrentCheckpoint(CommandContext& tx, JobId id) {
  COPPICE_ASSIGN_OR_RETURN(auto checkpoints,
                           tx.read().ListCheckpoints(id, CheckpointState::kListed));
  if (checkpoints.empty()) return std::optional<Checkpoint>();
  return std::optional<Checkpoint>(std::move(checkpoints.front()));
}

Lease MakeLease(const JobRow& job, const GroupInfo& group, std::optional<Checkpoint> resume) {
  Lease lease;
  lease.ref = {job.id, job.attempt};
  lease.seed = job.seed;
  lease.sweep = group.sweep->name;
  lease.checkpoint_dir = CheckpointDir(lease.sweep, lease.ref);
  lease.resume = std::move(resume);
  return lease;
}

// Starts an attempt. One transaction holds everything that a grant changes.
absl::StatusOr<Lease> GrantJob(CommandContext& tx, JobId id, const GroupInfo& group,
                               const AcquireRequest& request, const std::string& worker) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow before, tx.read().GetJob(id));
  COPPICE_ASSIGN_OR_RETURN(std::optional<Checkpoint> resume, CurrentCheckpoint(tx, id));
  COPPICE_ASSIGN_OR_RETURN(const uint32_t last_row, LastRowOf(tx.read(), resume));
  JobRow job = before;
  job.attempt = std::max(before.attempt, tx.memory().attempt_floor) + 1;
  job.attempts = before.attempts + 1;
  job.worker = worker;
  job.step = before.checkpoint_step;
  job.not_before_ms = 0;
  if (job.started_ms == 0) job.started_ms = tx.now_ms();

  AttemptRow attempt;
  attempt.job_id = id;
  attempt.number = job.attempt;
  attempt.worker = worker;
  attempt.request_id = request.request_id;
  attempt.granted_ms = tx.now_ms();
  attempt.steps = group.spec.steps;
  attempt.start_step = job.step;
  attempt.row_step = last_row;
  COPPICE_RETURN_IF_ERROR(tx.write().InsertAttempt(attempt));
  if (before.attempt > 0) {
    COPPICE_RETURN_IF_ERROR(tx.write().ArchiveMetrics(id, last_row).status());
  }
  COPPICE_RETURN_IF_ERROR(
      tx.Move(before, JobTrigger::kGrant, job,
              absl::StrCat("leased to ", worker, " slot ", request.slot, " from step ", job.step)));
  return MakeLease(job, group, std::move(resume));
}

absl::Status Grant(CommandContext& tx, const Scheduler::Pick& pick, const Waiter& waiter,
                   LeaseGrant& grant) {
  const auto group = tx.memory().catalog.Group(pick.group_id);
  if (group == nullptr)
    return absl::InternalError(absl::StrCat("group ", pick.group_id, " is not in the catalog"));
  grant.run_json = group->spec.run_json;
  for (const JobId id : pick.jobs) {
    COPPICE_ASSIGN_OR_RETURN(Lease lease, GrantJob(tx, id, *group, waiter.request, waiter.worker));
    grant.leases.push_back(std::move(lease));
  }
  tx.AfterCommit(GrantMade{pick.jobs.size()});
  return absl::OkStatus();
}

}  // namespace

Command GrantCommand(Dispatcher::Grant plan) {
  auto grant = std::make_shared<LeaseGrant>();
  grant->unmeasured = plan.unmeasured;
  auto shared = std::make_shared<Dispatcher::Grant>(std::move(plan));
  Command command;
  command.run = [shared, grant](CommandContext& tx) {
    return Grant(tx, shared->pick, shared->waiter, *grant);
  };
  command.finish = [shared, grant](const absl::Status& status) {
    if (status.ok()) {
      shared->waiter.done(std::move(*grant));
    } else {
      shared->waiter.done(status);
    }
  };
  return command;
}

namespace {

// Checks that there is room for one more waiter. A slot waits once; its second place is for a
// request whose caller has silently gone.
absl::Status CheckMayWait(const CommandContext& tx, const WorkerEntry& worker,
                          const AcquireRequest& request) {
  const Waiters& waiters = tx.memory().dispatcher.waiters;
  const std::string& name = worker.row.info.name;
  if (waiters.Has(name, request.request_id)) return absl::OkStatus();
  if (waiters.CountOf(name) >= 2 * std::max(1u, worker.row.info.slots)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "worker ", name, " has ", waiters.CountOf(name), " requests waiting for work already"));
  }
  if (waiters.size() >= tx.memory().options.max_waiting_requests) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the coordinator is overloaded: ", waiters.size(),
                     " requests wait for work; try again later"));
  }
  return absl::OkStatus();
}

absl::Status CheckRequest(const AcquireRequest& request) {
  if (request.request_id.empty() || request.request_id.size() > 200) {
    return absl::InvalidArgumentError("request_id must have 1 to 200 characters");
  }
  if (request.pack_width == 0 || request.pack_width > kMaxPackWidth) {
    return absl::InvalidArgumentError(absl::StrCat("pack_width must be in 1..", kMaxPackWidth));
  }
  return absl::OkStatus();
}

// Returns the grant of an earlier try of this request, as far as its leases are current.
absl::StatusOr<LeaseGrant> FindGrant(CommandContext& tx, const AcquireRequest& request,
                                     const std::string& worker) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<AttemptRow> attempts,
                           tx.read().FindOpenAttempts(worker, request.request_id));
  LeaseGrant grant;
  for (const AttemptRow& attempt : attempts) {
    COPPICE_ASSIGN_OR_RETURN(const JobRow job, tx.read().GetJob(attempt.job_id));
    const auto group = tx.memory().catalog.Group(job.group_id);
    if (group == nullptr || job.state != JobState::kRunning || job.attempt != attempt.number)
      continue;
    // The run that this attempt was granted is no longer known: the sweep has more steps now. If
    // the first answer was lost, the lease runs out.
    if (StepsOf(attempt, group->spec) != group->spec.steps) continue;
    COPPICE_ASSIGN_OR_RETURN(std::optional<Checkpoint> resume, CurrentCheckpoint(tx, job.id));
    grant.run_json = group->spec.run_json;
    grant.leases.push_back(MakeLease(job, *group, std::move(resume)));
    grant.unmeasured = attempts.size() == 1 && group->spec.program_pack == 0 &&
                       IsUnmeasured(tx.memory().dispatcher.health, request, worker, job.group_id);
  }
  return grant;
}

}  // namespace

absl::StatusOr<std::optional<LeaseGrant>> AcquireLeases(CommandContext& tx,
                                                        const AcquireRequest& request,
                                                        std::function<bool()> cancelled,
                                                        Coordinator::Done<LeaseGrant> done) {
  COPPICE_ASSIGN_OR_RETURN(const WorkerEntry* worker, KnownWorker(tx, request.worker_id));
  COPPICE_RETURN_IF_ERROR(CheckRequest(request));
  tx.AfterCommit(WorkerTouched{request.worker_id, tx.now(), tx.now_ms()});
  const std::string& name = worker->row.info.name;
  COPPICE_ASSIGN_OR_RETURN(LeaseGrant grant, FindGrant(tx, request, name));
  if (!grant.leases.empty()) return std::optional<LeaseGrant>(std::move(grant));
  COPPICE_RETURN_IF_ERROR(CheckMayWait(tx, *worker, request));
  const absl::Duration wait = std::min(absl::Milliseconds(request.wait_ms), kMaxWait);
  Waiter waiter{request, name, tx.now() + wait, std::move(cancelled), std::move(done)};
  waiter.programs = worker->row.info.programs;
  waiter.pool = std::string(pools::PoolOfKey(worker->row.info.allocation.pool_key));
  tx.AfterCommit(WaiterAdded{std::move(waiter)});
  return std::optional<LeaseGrant>();
}

}  // namespace coppice::core
