// Decides which process owns a worker's name.
//
// Two processes may claim to be one worker: a machine that was cut off and replaced comes back, or
// a start script was copied. The newer one owns the name; the older one is informed and ends.
// Neither a registration delayed in the network nor a call of an older process may reverse that. So
// processes are ordered by numbers (incarnations) that the coordinator assigns and keeps in its
// store:
//   1. A registration without a number changes nothing. It gets the next number, and the worker
//      must register again with it. A delayed registration is not repeated. No process owns a name
//      without knowing its number, even if an answer was lost.
//   2. A registration with a number takes a name that nobody owns, or that a process with a lower
//      number owns. The leases of the older process end, uncharged, except those that the newer one
//      says it holds.
//   3. A registration with a lower number than the owner's comes from an older process. It is told
//      the owner's host and is never registered again.
// Numbers only grow, over all names, even after names are forgotten.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// Machines of a cluster come and go under ever new names. A drained worker is kept: it must not
// take work when it comes back. A worker that said goodbye is of interest for a day.
constexpr absl::Duration kForgetAfter = absl::Hours(7 * 24);
constexpr absl::Duration kForgetDepartedAfter = absl::Hours(24);
constexpr absl::Duration kForgetEvery = absl::Hours(1);
constexpr size_t kMaxForgotten = 1000;  // at once
// Limit on remembered names: twice the cluster with which the control plane is measured.
constexpr size_t kMaxWorkers = 20'000;

absl::Status CheckInfo(const WorkerInfo& info) {
  if (info.name.empty() || info.name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the worker's name must have 1 to ", kMaxNameBytes, " characters"));
  }
  for (const char c : info.name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          "the worker's name must not have spaces or control characters");
    }
  }
  if (info.instance.empty() || info.instance.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the worker's instance must have 1 to ", kMaxNameBytes, " characters"));
  }
  return absl::OkStatus();
}

absl::Status ForgetLongGone(CommandContext& tx) {
  const Memory& memory = tx.memory();
  if (tx.now() < memory.forget_at) return absl::OkStatus();
  std::vector<std::string> gone;
  for (const WorkerEntry* worker : memory.workers.All()) {
    const std::string& name = worker->row.info.name;
    const absl::Duration kept = worker->row.departed_ms != 0 ? kForgetDepartedAfter : kForgetAfter;
    const int64_t oldest = tx.now_ms() - absl::ToInt64Milliseconds(kept);
    const bool seen = std::max(worker->row.last_seen_ms, worker->seen_ms) > oldest ||
                      IsConnected(*worker, memory.options.lease, tx.now());
    if (seen || worker->row.draining || memory.leases.CountOfWorker(name) > 0) continue;
    COPPICE_RETURN_IF_ERROR(tx.write().DeleteWorker(name));
    gone.push_back(name);
    if (gone.size() == kMaxForgotten) break;
  }
  tx.AfterCommit(WorkersForgotten{std::move(gone), tx.now() + kForgetEvery});
  return absl::OkStatus();
}

bool Lists(const std::vector<HeldLease>& held, const LeaseRef& lease) {
  return std::any_of(held.begin(), held.end(),
                     [&](const HeldLease& h) { return h.lease == lease; });
}

// Refuses an older process of the name.
absl::StatusOr<Registration> Refuse(CommandContext& tx, const WorkerRow& newer,
                                    const WorkerInfo& older) {
  WorkerRow row = newer;
  row.superseded_host = older.host;
  row.superseded_ms = tx.now_ms();
  COPPICE_RETURN_IF_ERROR(tx.write().PutWorker(row));
  tx.AfterCommit(WorkerRowStored{std::move(row)});
  Registration answer;
  answer.superseded_by = Superseder{newer.info.host, newer.registered_ms};
  return answer;
}

// Ends a lease of the older process of the name. On the same machine, the worker was restarted or
// the machine crashed, so the attempt counts as lost. On another machine, somebody gave two workers
// one name or moved a worker, which says nothing about the job.
absl::Status EndLeaseOf(CommandContext& tx, const LeaseRef& lease, const WorkerInfo& older,
                        const WorkerInfo& newer) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<JobRow> job, RunningJob(tx, lease));
  if (!job.has_value()) return absl::OkStatus();
  if (older.host == newer.host) {
    return LoseAttempt(tx, *job,
                       absl::StrCat("worker ", newer.name, " was started again",
                                    newer.host.empty() ? "" : " on " + newer.host,
                                    ", and the new process does not hold it"));
  }
  JobRow after = *job;
  after.reason = absl::StrCat("worker ", newer.name, " on ", older.host,
                              " was superseded by a newer process of its name on ", newer.host);
  Ending ending{AttemptOutcome::kExpired, after.reason, job->step, AttemptMark::kSuperseded};
  return tx.EndAttempt(*job, JobTrigger::kExpire, std::move(after), ending);
}

WorkerEntry EntryOf(const CommandContext& tx, const WorkerInfo& info) {
  WorkerEntry entry;
  entry.row.info = info;
  entry.row.registered_ms = tx.now_ms();
  entry.row.last_seen_ms = tx.now_ms();
  entry.fresh = true;
  entry.seen = true;
  entry.seen_at = tx.now();
  entry.beat_at = tx.now();
  entry.interval = tx.memory().options.heartbeat_interval;
  entry.seen_ms = tx.now_ms();
  return entry;
}

}  // namespace

absl::StatusOr<Registration> RegisterWorker(CommandContext& tx, const WorkerInfo& info,
                                            const std::vector<HeldLease>& held,
                                            const std::string& new_id) {
  COPPICE_RETURN_IF_ERROR(CheckInfo(info));
  COPPICE_RETURN_IF_ERROR(ForgetLongGone(tx));
  COPPICE_ASSIGN_OR_RETURN(const auto known, tx.read().FindWorker(info.name));
  if (!known.has_value() && tx.memory().workers.size() >= kMaxWorkers) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the coordinator knows ", kMaxWorkers, " workers already, and forgets one that holds ",
        "nothing a week after it was last heard of; give a worker that comes back its old --name, "
        "or forget "
        "old ones by 'coppice forget WORKER'"));
  }
  const bool same_process = known.has_value() && known->info.instance == info.instance;
  const bool taken = known.has_value() && !same_process;
  if (taken && info.incarnation > 0 && info.incarnation <= known->info.incarnation) {
    return Refuse(tx, *known, info);
  }
  if (same_process && known->departed_ms != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("this process of worker ", info.name, " has said goodbye; start a new one"));
  }
  COPPICE_ASSIGN_OR_RETURN(const uint64_t greatest, tx.read().GetIncarnations());
  if (info.incarnation == 0 || info.incarnation > greatest) {
    COPPICE_RETURN_IF_ERROR(tx.write().SetIncarnations(greatest + 1));
    Registration answer;
    answer.confirm = true;
    answer.incarnation = greatest + 1;
    return answer;
  }

  WorkerEntry entry = EntryOf(tx, info);
  entry.row.id = same_process ? known->id : new_id;
  if (known.has_value()) {
    entry.row.draining = known->draining;  // a drain stays with the name
    entry.row.preempt = known->preempt;
  }
  if (same_process) {
    entry.row.registered_ms = known->registered_ms;
    entry.row.superseded_host = known->superseded_host;
    entry.row.superseded_ms = known->superseded_ms;
    entry.row.info.incarnation = known->info.incarnation;
  }
  COPPICE_RETURN_IF_ERROR(tx.write().PutWorker(entry.row));

  for (const LeaseEntry& lease : tx.memory().leases.OfWorker(info.name)) {
    // The same process may have a grant on its way. Its first heartbeat will show it.
    if (same_process || Lists(held, lease.ref)) continue;
    COPPICE_RETURN_IF_ERROR(EndLeaseOf(tx, lease.ref, taken ? known->info : info, info));
  }
  const bool same_settings = known.has_value() && known->info.device == info.device &&
                             known->info.pack_width == info.pack_width;
  tx.AfterCommit(WorkerPut{entry});
  if (!same_process) tx.AfterCommit(WorkerProcessChanged{info.name, same_settings});
  tx.AfterCommit(LeasesRenewed{info.name, held, tx.now()});
  const CoordinatorOptions& options = tx.memory().options;
  Registration answer;
  answer.worker_id = entry.row.id;
  answer.heartbeat_interval_ms =
      static_cast<uint32_t>(absl::ToInt64Milliseconds(options.heartbeat_interval));
  answer.lease_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(options.lease));
  answer.store_id = tx.memory().store_id;
  answer.incarnation = entry.row.info.incarnation;
  return answer;
}

}  // namespace coppice::core
