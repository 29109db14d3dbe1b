// Changes of a worker that people ask for, and its goodbye.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// Finds a worker by the name or the id that a person typed.
absl::StatusOr<const WorkerEntry*> NamedWorker(const CommandContext& tx,
                                               const std::string& name_or_id) {
  const WorkerTable& workers = tx.memory().workers;
  const WorkerEntry* worker = workers.FindByName(name_or_id);
  const WorkerEntry* by_id = workers.FindById(name_or_id);
  if (worker != nullptr && by_id != nullptr && worker->row.id != by_id->row.id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "'", name_or_id, "' is the name of worker ", worker->row.id, " and the id of worker '",
        by_id->row.info.name, "'; name the one by its id or the other by its name"));
  }
  if (worker == nullptr) worker = by_id;
  if (worker == nullptr) return absl::NotFoundError(absl::StrCat("no worker '", name_or_id, "'"));
  return worker;
}

std::string DepartedText(const Departure& departure) {
  return absl::StrCat(ExitReasonText(departure.reason), departure.message.empty() ? "" : ": ",
                      departure.message);
}

// Takes a lease back from a worker that has said goodbye, unless it has ended meanwhile.
absl::Status TakeBack(CommandContext& tx, const LeaseRef& lease, const std::string& message) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<JobRow> job, RunningJob(tx, lease));
  if (!job.has_value()) return absl::OkStatus();
  JobRow after = *job;
  after.reason = message;
  return tx.EndAttempt(*job, JobTrigger::kRelease, std::move(after),
                       {AttemptOutcome::kPreempted, message, job->step});
}

}  // namespace

absl::string_view ExitReasonText(ExitReason reason) {
  switch (reason) {
    case ExitReason::kStopped:
      return "stopped";
    case ExitReason::kPreempted:
      return "preempted";
    case ExitReason::kWalltime:
      return "walltime";
    case ExitReason::kIdle:
      return "idle";
    case ExitReason::kDrained:
      return "drained";
    case ExitReason::kFailed:
      break;
  }
  return "failed";
}

absl::StatusOr<Worker> DrainWorker(CommandContext& tx, const Caller& caller,
                                   const std::string& name_or_id, bool preempt, bool undo) {
  COPPICE_ASSIGN_OR_RETURN(const WorkerEntry* worker, NamedWorker(tx, name_or_id));
  WorkerEntry changed = *worker;
  COPPICE_ASSIGN_OR_RETURN(const auto stored, tx.read().FindWorker(worker->row.info.name));
  // Another command of this batch has forgotten it.
  if (!stored.has_value()) return absl::NotFoundError(absl::StrCat("no worker '", name_or_id, "'"));
  changed.row = *stored;
  changed.row.draining = !undo;
  changed.row.preempt = !undo && preempt;
  COPPICE_RETURN_IF_ERROR(tx.write().PutWorker(changed.row));
  tx.AfterCommit(WorkerRowStored{changed.row});
  tx.Say(LogLine::kInfo, absl::StrCat("worker ", changed.row.info.name, ": ",
                                      !changed.row.draining ? "drain taken back"
                                      : changed.row.preempt ? "drained, its jobs preempted"
                                                            : "drained",
                                      " by ", Describe(caller)));
  return MakeWorker(changed, tx.memory(), tx.now(), tx.now_ms());
}

absl::Status LeaveWorker(CommandContext& tx, const Departure& departure) {
  const WorkerEntry* worker = tx.memory().workers.FindById(departure.worker_id);
  if (worker == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("worker '", departure.worker_id, "' is not registered (any more)"));
  }
  COPPICE_ASSIGN_OR_RETURN(auto row, tx.read().FindWorker(worker->row.info.name));
  // Another process may have taken the name in this batch, and the goodbye may be a repeated one.
  if (!row.has_value() || row->id != departure.worker_id || row->departed_ms != 0)
    return absl::OkStatus();
  row->departed_ms = tx.now_ms();
  row->departed_reason = DepartedText(departure);
  row->last_seen_ms = tx.now_ms();
  COPPICE_RETURN_IF_ERROR(tx.write().PutWorker(*row));
  const std::string message =
      absl::StrCat("worker ", row->info.name, " has left (", row->departed_reason, ")");
  for (const LeaseEntry& lease : tx.memory().leases.OfWorker(row->info.name)) {
    COPPICE_RETURN_IF_ERROR(TakeBack(tx, lease.ref, message));
  }
  tx.Say(LogLine::kInfo, message);
  tx.AfterCommit(WorkerDeparted{*std::move(row)});
  return absl::OkStatus();
}

absl::StatusOr<std::string> ForgetWorker(CommandContext& tx, const Caller& caller,
                                         const std::string& name_or_id) {
  COPPICE_ASSIGN_OR_RETURN(const WorkerEntry* worker, NamedWorker(tx, name_or_id));
  const Memory& memory = tx.memory();
  const std::string name = worker->row.info.name;
  const size_t held = memory.leases.CountOfWorker(name);
  if (held > 0 || IsConnected(*worker, memory.options.lease, tx.now())) {
    return absl::FailedPreconditionError(
        absl::StrCat("worker ", name, " is ", held > 0 ? "not gone: it holds leases" : "connected",
                     "; end it first, or wait until its leases have expired"));
  }
  // A registration of this batch is not yet in memory.
  COPPICE_ASSIGN_OR_RETURN(const auto row, tx.read().FindWorker(name));
  if (row.has_value() && row->id != worker->row.id) {
    return absl::FailedPreconditionError(
        absl::StrCat("worker ", name, " has just registered again"));
  }
  COPPICE_RETURN_IF_ERROR(tx.write().DeleteWorker(name));
  tx.Say(LogLine::kInfo, absl::StrCat("worker ", name, ": forgotten by ", Describe(caller)));
  tx.AfterCommit(WorkersForgotten{{name}, memory.forget_at});
  return name;
}

}  // namespace coppice::core
