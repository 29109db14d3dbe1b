// Which process has a worker's name.
//
// Two processes may say that they are one worker: a machine that was cut off and replaced comes
// back, or a start script was copied. The newer one has the name; the older one is told so and
// ends. Neither a registration that waited in the network nor a call of an older process may turn
// that round, so processes are ordered by numbers (incarnations) that the coordinator gives out and
// keeps in its store:
//   1. a registration without a number changes nothing: it is given the next number and asked to
//   come again with it. What was delayed does not come again, and no process has a name without
//   knowing its number, also where an answer was lost;
//   2. with a number it takes a name that nobody has, or that a process with a lower one has. The
//   leases of the older process end, uncharged, but for those that the newer one says it holds;
//   3. with a lower number than that of the process that has the name it comes from an older one,
//   which is told who has the name. It is never registered again.
// Numbers only grow, over all names, whatever is forgotten.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

// Machines of a cluster come and go under ever new names. One that somebody drained is kept: it
// must not take work when it comes back.
constexpr absl::Duration kForgetAfter = absl::Hours(7 * 24);
constexpr absl::Duration kForgetEvery = absl::Hours(1);
constexpr size_t kMaxForgotten = 1000;  // at once
// Names that are remembered: as many as twice the cluster that the control plane is measured with.
constexpr size_t kMaxWorkers = 20'000;

absl::Status CheckInfo(const WorkerInfo& info) {
  if (info.name.empty() || info.name.size() > 200) {
    return absl::InvalidArgumentError("the worker's name must have 1 to 200 characters");
  }
  for (const char c : info.name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          "the worker's name must not have spaces or control characters");
    }
  }
  if (info.instance.empty() || info.instance.size() > 200) {
    return absl::InvalidArgumentError("the worker's instance must have 1 to 200 characters");
  }
  return absl::OkStatus();
}

absl::Status ForgetLongGone(CommandContext& tx) {
  const Memory& memory = tx.memory();
  if (tx.now() < memory.forget_at) return absl::OkStatus();
  const int64_t oldest = tx.now_ms() - absl::ToInt64Milliseconds(kForgetAfter);
  std::vector<std::string> gone;
  for (const WorkerEntry* worker : memory.workers.All()) {
    const std::string& name = worker->row.info.name;
    const bool seen = std::max(worker->row.last_seen_ms, worker->heard_ms) > oldest ||
                      IsConnected(*worker, memory.options.lease, tx.now());
    if (seen || worker->row.draining || memory.leases.CountOfWorker(name) > 0) continue;
    COPPICE_RETURN_IF_ERROR(tx.write().DeleteWorker(name));
    gone.push_back(name);
    if (gone.size() == kMaxForgotten) break;
  }
  tx.AfterCommit([gone, next = tx.now() + kForgetEvery](Memory& changed) {
    changed.forget_at = next;
    for (const std::string& name : gone) {
      changed.workers.Remove(name);
      changed.health.Forget(name);
    }
  });
  return absl::OkStatus();
}

bool Lists(const std::vector<HeldLease>& held, const LeaseRef& lease) {
  return std::any_of(held.begin(), held.end(),
                     [&](const HeldLease& h) { return h.lease == lease; });
}

// An older process of the name has come again.
absl::StatusOr<Registration> Refuse(CommandContext& tx, const WorkerRow& newer,
                                    const WorkerInfo& older) {
  WorkerRow row = newer;
  row.superseded_host = older.host;
  row.superseded_ms = tx.now_ms();
  COPPICE_RETURN_IF_ERROR(tx.write().PutWorker(row));
  tx.AfterCommit([row](Memory& memory) { memory.workers.SetRow(row); });
  Registration answer;
  answer.superseded_by = Superseder{newer.info.host, newer.registered_ms};
  return answer;
}

// Ends a lease that the older process of the name had. On the same machine it was started again, or
// a crash of the machine ended it: that counts as an attempt that was lost. On another one somebody
// has given two workers one name, or has moved one: that says nothing about the job.
absl::Status EndLeaseOf(CommandContext& tx, const LeaseRef& lease, const WorkerInfo& older,
                        const WorkerInfo& newer) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow job, tx.read().GetJob(lease.job_id));
  if (job.state != JobState::kRunning || job.attempt != lease.attempt) return absl::OkStatus();
  if (older.host == newer.host) {
    return LoseAttempt(tx, job,
                       absl::StrCat("worker ", newer.name, " was started again",
                                    newer.host.empty() ? "" : " on " + newer.host,
                                    ", and the new process does not hold it"));
  }
  JobRow after = job;
  after.reason = absl::StrCat("worker ", newer.name, " on ", older.host,
                              " was superseded by a newer process of its name on ", newer.host);
  Ending ending{"expired", after.reason, job.step, kSuperseded, ""};
  return tx.EndAttempt(job, JobTrigger::kExpire, std::move(after), ending);
}

WorkerEntry EntryOf(const CommandContext& tx, const WorkerInfo& info) {
  WorkerEntry entry;
  entry.row.info = info;
  entry.row.registered_ms = tx.now_ms();
  entry.row.last_seen_ms = tx.now_ms();
  entry.fresh = true;
  entry.heard = true;
  entry.heard_at = tx.now();
  entry.beat_at = tx.now();
  entry.interval = tx.memory().options.heartbeat_interval;
  entry.heard_ms = tx.now_ms();
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
        "nothing a week after it was last heard of; give a worker that comes back its old --name"));
  }
  const bool same_process = known.has_value() && known->info.instance == info.instance;
  const bool taken = known.has_value() && !same_process;
  if (taken && info.incarnation > 0 && info.incarnation <= known->info.incarnation) {
    return Refuse(tx, *known, info);
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
    // The same process may have a grant on its way to it; its first heartbeat tells.
    if (same_process || Lists(held, lease.ref)) continue;
    COPPICE_RETURN_IF_ERROR(EndLeaseOf(tx, lease.ref, taken ? known->info : info, info));
  }
  const bool same_settings = known.has_value() && known->info.device == info.device &&
                             known->info.pack_width == info.pack_width;
  tx.AfterCommit([entry, held, same_process, same_settings, now = tx.now()](Memory& memory) {
    memory.workers.Put(entry);
    if (!same_process) memory.health.OnNewProcess(entry.row.info.name, same_settings);
    for (const HeldLease& lease : held) memory.leases.Renew(lease, entry.row.info.name, now);
  });
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
