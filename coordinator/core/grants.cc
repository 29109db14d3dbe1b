#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

constexpr size_t kMaxGrantsPerBatch = 128;
constexpr uint32_t kMaxPackWidth = 4096;

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
  tx.AfterCommit(GrantMade{});
  return absl::OkStatus();
}

Command GrantCommand(Waiter waiter, Scheduler::Pick pick, bool unmeasured) {
  auto grant = std::make_shared<LeaseGrant>();
  grant->unmeasured = unmeasured;
  auto shared = std::make_shared<Waiter>(std::move(waiter));
  Command command;
  command.run = [shared, grant, pick = std::move(pick)](CommandContext& tx) {
    return Grant(tx, pick, *shared, *grant);
  };
  command.finish = [shared, grant](const absl::Status& status) {
    if (status.ok()) {
      shared->done(std::move(*grant));
    } else {
      shared->done(status);
    }
  };
  return command;
}

// Checks that there is room for one more waiter. A slot waits once; its second place is for a
// request whose caller has silently gone.
absl::Status CheckMayWait(const CommandContext& tx, const WorkerEntry& worker,
                          const AcquireRequest& request) {
  const Waiters& waiters = tx.memory().waiters;
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

}  // namespace

absl::StatusOr<std::optional<LeaseGrant>> BeginAcquire(CommandContext& tx,
                                                       const AcquireRequest& request) {
  COPPICE_ASSIGN_OR_RETURN(const WorkerEntry* worker, KnownWorker(tx, request.worker_id));
  if (request.request_id.empty() || request.request_id.size() > 200) {
    return absl::InvalidArgumentError("request_id must have 1 to 200 characters");
  }
  if (request.pack_width == 0 || request.pack_width > kMaxPackWidth) {
    return absl::InvalidArgumentError(absl::StrCat("pack_width must be in 1..", kMaxPackWidth));
  }
  tx.AfterCommit(WorkerTouched{request.worker_id, tx.now(), tx.now_ms()});
  COPPICE_ASSIGN_OR_RETURN(const std::vector<AttemptRow> attempts,
                           tx.read().FindOpenAttempts(worker->row.info.name, request.request_id));
  LeaseGrant grant;
  for (const AttemptRow& attempt : attempts) {
    COPPICE_ASSIGN_OR_RETURN(const JobRow job, tx.read().GetJob(attempt.job_id));
    const auto group = tx.memory().catalog.Group(job.group_id);
    if (group == nullptr || job.state != JobState::kRunning || job.attempt != attempt.number)
      continue;
    COPPICE_ASSIGN_OR_RETURN(std::optional<Checkpoint> resume, CurrentCheckpoint(tx, job.id));
    grant.run_json = group->spec.run_json;
    grant.leases.push_back(MakeLease(job, *group, std::move(resume)));
    grant.unmeasured = request.measures && attempts.size() == 1 &&
                       !tx.memory().health.KnowsWidth(worker->row.info.name, job.group_id);
  }
  if (grant.leases.empty()) {
    COPPICE_RETURN_IF_ERROR(CheckMayWait(tx, *worker, request));
    return std::optional<LeaseGrant>();
  }
  return std::optional<LeaseGrant>(std::move(grant));
}

namespace {

// True if a trusted worker may take the work, now or when one of its slots is free.
bool AnyTrusted(const Memory& memory, absl::Duration now) {
  for (const WorkerEntry* worker : memory.workers.All()) {
    if (IsConnected(*worker, memory.options.lease, now) && !worker->draining() &&
        !memory.health.SuspicionOf(worker->row.info.name, now).has_value()) {
      return true;
    }
  }
  return false;
}

// True if the worker has not yet reported how many jobs of the group it wants at a time.
bool Unmeasured(const Memory& memory, const AcquireRequest& request, const std::string& worker,
                GroupId group) {
  return request.measures && !memory.health.KnowsWidth(worker, group);
}

// Returns how many jobs of the group to offer. A worker that measures wants packs for their speed.
// It takes no more than its share of the `left` jobs, so that few jobs do not end up in one pack
// while other slots stand idle.
size_t WidthOf(const Memory& memory, const AcquireRequest& request, const std::string& worker,
               GroupId group, size_t left) {
  // The first is for the measurement. The second shows whether there are enough for a pack.
  if (Unmeasured(memory, request, worker, group)) return 2;
  const size_t width = memory.health.WidthFor(worker, group, request.pack_width);
  if (!request.measures) return width;
  const size_t share = (left + memory.waiters.size() - 1) / memory.waiters.size();
  return std::clamp<size_t>(share, 1, width);
}

}  // namespace

std::vector<Command> PlanGrants(Memory& memory, absl::Duration now, size_t& jobs_left,
                                const std::function<void(std::function<void()>)>& reply) {
  std::vector<Command> commands;
  absl::flat_hash_set<JobId> taken;
  // If every worker is suspect, the work itself may be to blame, so it is tried and charged.
  const bool skip_suspects = memory.health.NextEnd(now).has_value() && AnyTrusted(memory, now);
  Waiters& waiters = memory.waiters;
  for (auto it = waiters.begin();
       it != waiters.end() && commands.size() < kMaxGrantsPerBatch && jobs_left > 0;) {
    const WorkerEntry* worker = memory.workers.FindById(it->request.worker_id);
    if (worker == nullptr) {
      reply([done = waiters.Take(it).done] {
        done(absl::NotFoundError("the worker was replaced: register again"));
      });
      continue;
    }
    const std::string& name = worker->row.info.name;
    if (worker->draining() || (skip_suspects && memory.health.SuspicionOf(name, now).has_value())) {
      ++it;
      continue;
    }
    const size_t ready = memory.scheduler.ready();
    const size_t left = ready - std::min(ready, taken.size());
    auto pick = memory.scheduler.Choose(
        [&](GroupId group) { return WidthOf(memory, it->request, name, group, left); }, taken,
        memory.grants + commands.size());
    if (!pick.has_value()) break;  // no other waiter can get a job either
    if (it->cancelled && it->cancelled()) {
      reply([done = waiters.Take(it).done] { done(LeaseGrant()); });
      continue;
    }
    const bool unmeasured =
        pick->jobs.size() > 1 && Unmeasured(memory, it->request, name, pick->group_id);
    if (unmeasured) pick->jobs.resize(1);
    taken.insert(pick->jobs.begin(), pick->jobs.end());
    jobs_left -= std::min(jobs_left, pick->jobs.size());
    commands.push_back(GrantCommand(waiters.Take(it), *std::move(pick), unmeasured));
  }
  return commands;
}

}  // namespace coppice::core
