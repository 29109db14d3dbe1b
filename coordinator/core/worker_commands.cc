#include <algorithm>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// last_seen is stored this rarely because only people use it, after a restart.
constexpr absl::Duration kStoreLastSeen = absl::Minutes(1);
constexpr int kMissesBeforeRelease = 2;

// Ends a lease of this worker without charge, unless it has ended meanwhile. `kExpire`: the worker
// is gone.
absl::Status EndLease(CommandContext& tx, const LeaseRef& lease, JobTrigger trigger,
                      const std::string& message) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<JobRow> job, RunningJob(tx, lease));
  if (!job.has_value()) return absl::OkStatus();
  if (trigger == JobTrigger::kExpire) return LoseAttempt(tx, *job, message);
  JobRow after = *job;
  after.reason = message;
  return tx.EndAttempt(*job, trigger, std::move(after),
                       {AttemptOutcome::kReleased, message, job->step});
}

std::string StopReason(CommandContext& tx, const LeaseRef& lease) {
  const auto job = tx.read().GetJob(lease.job_id);
  if (!job.ok()) return "the job does not exist here";
  if (job->attempt != lease.attempt) return "a later attempt of the job has begun";
  if (job->state == JobState::kCancelled) return "the job was cancelled";
  if (job->state == JobState::kPending) return "the lease has ended";
  return absl::StrCat("the job is ", StateName(job->state));
}

Directive DirectiveFor(CommandContext& tx, const WorkerEntry& worker, const HeldLease& held,
                       const absl::flat_hash_map<JobId, LeaseEntry>& current) {
  const auto it = current.find(held.lease.job_id);
  if (it == current.end() || it->second.ref != held.lease) {
    return {held.lease, DirectiveAction::kStop, StopReason(tx, held.lease)};
  }
  if (worker.row.draining && worker.row.preempt) {
    return {held.lease, DirectiveAction::kPreempt, "the worker is being drained"};
  }
  if (tx.memory().catalog.paused(it->second.sweep_id)) {
    return {held.lease, DirectiveAction::kPreempt, "the sweep is paused"};
  }
  return {held.lease, DirectiveAction::kContinue, ""};
}

// A lease that its worker does not list is lost: the grant never arrived, or the worker forgot it.
// A grant and a heartbeat may cross on the wire, so a lease younger than a heartbeat interval is
// kept. The first miss releases a lease only right after a registration.
absl::Status MissLease(CommandContext& tx, const WorkerEntry& worker, const LeaseEntry& lease) {
  if (tx.now() - lease.granted_at < tx.memory().options.heartbeat_interval) return absl::OkStatus();
  if (!worker.fresh && lease.missed + 1 < kMissesBeforeRelease) {
    tx.AfterCommit(LeaseMissed{lease.ref});
    return absl::OkStatus();
  }
  return EndLease(tx, lease.ref, JobTrigger::kRelease,
                  absl::StrCat("worker ", lease.worker, " no longer holds it"));
}

// Stores the time of a heartbeat now and then, and an end of the walltime that has moved. Starts
// from the stored row: another process may have taken the name in this batch.
absl::Status StoreBeat(CommandContext& tx, const WorkerEntry& worker, const BeatState& state) {
  const bool moved = worker.row.info.ends_ms != state.ends_ms;
  if (!moved && tx.now_ms() - worker.row.last_seen_ms < absl::ToInt64Milliseconds(kStoreLastSeen)) {
    return absl::OkStatus();
  }
  COPPICE_ASSIGN_OR_RETURN(auto row, tx.read().FindWorker(worker.row.info.name));
  if (!row.has_value() || row->id != worker.row.id) return absl::OkStatus();
  row->last_seen_ms = tx.now_ms();
  row->info.ends_ms = state.ends_ms;
  COPPICE_RETURN_IF_ERROR(tx.write().PutWorker(*row));
  tx.AfterCommit(WorkerRowStored{*row});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HeartbeatResult> TakeHeartbeat(CommandContext& tx, const std::string& worker_id,
                                              const std::vector<HeldLease>& held,
                                              const BeatState& state) {
  COPPICE_ASSIGN_OR_RETURN(const WorkerEntry* worker, KnownWorker(tx, worker_id));
  COPPICE_RETURN_IF_ERROR(StoreBeat(tx, *worker, state));
  absl::flat_hash_map<JobId, LeaseEntry> current;
  for (LeaseEntry& lease : tx.memory().leases.OfWorker(worker->row.info.name)) {
    current.emplace(lease.ref.job_id, std::move(lease));
  }
  HeartbeatResult result;
  result.drain = worker->row.draining;
  // In order, so that the same calls always leave the same log.
  std::map<JobId, LeaseEntry> missing(current.begin(), current.end());
  for (const HeldLease& lease : held) {
    result.directives.push_back(DirectiveFor(tx, *worker, lease, current));
    const auto it = missing.find(lease.lease.job_id);
    if (it != missing.end() && it->second.ref == lease.lease) missing.erase(it);
  }
  for (const auto& [job, lease] : missing) COPPICE_RETURN_IF_ERROR(MissLease(tx, *worker, lease));
  for (const auto& [job, lease] : current) tx.effects().touched.push_back(lease.sweep_id);
  tx.AfterCommit(WorkerBeat{worker_id, state, tx.now(), tx.now_ms()});
  tx.AfterCommit(LeasesRenewed{worker->row.info.name, held, tx.now()});
  return result;
}

std::vector<Worker> ListWorkers(const CommandContext& tx) {
  std::vector<Worker> workers;
  for (const WorkerEntry* entry : tx.memory().workers.All()) {
    workers.push_back(MakeWorker(*entry, tx.memory(), tx.now(), tx.now_ms()));
  }
  return workers;
}

absl::Status ExpireLease(CommandContext& tx, const LeaseRef& lease) {
  const auto entry = tx.memory().leases.Find(lease.job_id);
  if (!entry.has_value() || entry->ref != lease) return absl::OkStatus();
  const WorkerEntry* worker = tx.memory().workers.FindByName(entry->worker);
  if (worker != nullptr && worker->row.departed_ms != 0) {
    // It was granted in the transaction that took the goodbye.
    COPPICE_RETURN_IF_ERROR(EndLease(tx, lease, JobTrigger::kRelease,
                                     absl::StrCat("worker ", entry->worker, " has left")));
    tx.AfterCommit(LeaseEnded{lease, tx.now()});
    return absl::OkStatus();
  }
  COPPICE_RETURN_IF_ERROR(EndLease(
      tx, lease, JobTrigger::kExpire,
      absl::StrCat(
          "worker ", entry->worker, " was not heard of for ",
          absl::FormatDuration(absl::Trunc(tx.now() - entry->renewed_at, absl::Seconds(1))))));
  tx.AfterCommit(LeaseEnded{lease, tx.now()});
  return absl::OkStatus();
}

}  // namespace coppice::core
