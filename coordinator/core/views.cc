#include "coordinator/core/views.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "common/base/status_macros.h"
#include "coordinator/core/eta.h"
#include "coordinator/core/lifecycle.h"

namespace coppice::core {
namespace {

// Returns a group's steps, including those of running jobs since their last report, but at most its
// total.
uint64_t StepsDone(const GroupRow& group, const LiveStats& live) {
  const auto extra = live.extra_steps.find(group.id);
  const uint64_t done = group.steps_done + (extra == live.extra_steps.end() ? 0 : extra->second);
  return std::min(done, group.jobs * group.spec.steps);
}

void Add(const JobCounts& more, JobCounts& counts) {
  counts.pending += more.pending;
  counts.running += more.running;
  counts.succeeded += more.succeeded;
  counts.failed += more.failed;
  counts.cancelled += more.cancelled;
}

}  // namespace

SweepSummary MakeSummary(const SweepRow& sweep, const std::vector<GroupRow>& groups,
                         const LeaseTable& leases) {
  const LiveStats live = leases.Live(sweep.id);
  SweepSummary summary;
  summary.id = sweep.id;
  summary.name = sweep.name;
  summary.paused = sweep.paused;
  summary.priority = sweep.priority;
  summary.created_ms = sweep.created_ms;
  summary.finished_ms = sweep.finished_ms;
  summary.note = sweep.note;
  summary.tags = sweep.tags;
  summary.steps_total = sweep.steps_total;
  summary.seed_steps_per_second = live.steps_per_second;
  summary.workers = live.workers;
  summary.silent_jobs = live.silent;
  summary.silent_seconds = static_cast<uint32_t>(absl::ToInt64Seconds(live.longest_silence));
  for (const GroupRow& group : groups) {
    Add(group.counts, summary.counts);
    summary.steps_done += StepsDone(group, live);
  }
  summary.eta_seconds = EtaSeconds(groups, live);
  return summary;
}

std::vector<GroupSummary> MakeGroups(const std::vector<GroupRow>& groups, const Catalog& catalog,
                                     const LeaseTable& leases) {
  std::vector<GroupSummary> summaries;
  if (groups.empty()) return summaries;
  summaries.reserve(groups.size());
  const LiveStats live = leases.Live(groups.front().sweep_id);
  absl::flat_hash_map<GroupId, size_t> places;  // of the points' summaries
  for (const GroupRow& group : groups) {
    const auto first = group.part_of == 0 ? places.end() : places.find(group.part_of);
    if (first != places.end()) {
      Add(group.counts, summaries[first->second].counts);
      summaries[first->second].steps_done += StepsDone(group, live);
      continue;
    }
    places[group.id] = summaries.size();
    const auto known = catalog.Group(group.id);
    summaries.push_back({group.id, known == nullptr ? group.spec : known->spec, group.counts,
                         StepsDone(group, live)});
  }
  return summaries;
}

absl::StatusOr<SweepSummary> ReadSummary(ReadTransaction& read, SweepId id,
                                         const LeaseTable& leases) {
  COPPICE_ASSIGN_OR_RETURN(const SweepRow sweep, read.GetSweep(id));
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> groups, read.ListGroupCounts(id));
  return MakeSummary(sweep, groups, leases);
}

Job MakeJob(const JobRow& row, const Catalog& catalog, const LeaseTable& leases) {
  Job job;
  job.id = row.id;
  job.sweep_id = row.sweep_id;
  job.group_id = row.group_id;
  job.seed = row.seed;
  job.state = row.state;
  job.step = row.step;
  job.attempt = row.attempt;
  job.attempts = row.attempts;
  job.failures = row.failures;
  job.worker = row.worker;
  job.reason = row.reason;
  job.started_ms = row.started_ms;
  job.finished_ms = row.finished_ms;
  job.checkpoint_step = row.checkpoint_step;
  job.sweep_paused = catalog.paused(row.sweep_id);
  if (const auto group = catalog.Group(row.group_id); group != nullptr) {
    job.sweep = group->sweep->name;
    job.created_ms = group->sweep->created_ms;
    job.task = group->spec.task;
    job.depth = group->spec.depth;
    job.point = group->spec.point;
    job.steps = group->spec.steps;
  }
  if (row.state == JobState::kRunning) {
    const auto lease = leases.Find(row.id);
    if (lease.has_value() && lease->ref.attempt == row.attempt) {
      job.step = std::max(job.step, std::min(lease->live_step, job.steps));
      job.silent_seconds = static_cast<uint32_t>(absl::ToInt64Seconds(leases.SilenceOf(*lease)));
    }
  }
  return job;
}

Attempt MakeAttempt(const AttemptRow& row) {
  Attempt attempt;
  attempt.number = row.number;
  attempt.worker = row.worker;
  attempt.granted_ms = row.granted_ms;
  attempt.ended_ms = row.ended_ms;
  attempt.outcome = row.outcome;
  attempt.message = row.message;
  if (!row.log_tail.empty()) attempt.message += "\n" + row.log_tail;
  attempt.start_step = row.start_step;
  attempt.end_step = std::max(row.end_step, row.row_step);
  attempt.provenance = row.provenance;
  return attempt;
}

bool IsUntrained(const AttemptRow& row) { return row.mark == AttemptMark::kUntrained; }

Worker MakeWorker(const WorkerEntry& entry, const Memory& memory, absl::Duration now,
                  int64_t now_ms) {
  const LeaseTable& leases = memory.leases;
  Worker worker;
  worker.id = entry.row.id;
  worker.info = entry.row.info;
  worker.superseded_host = entry.row.superseded_host;
  worker.superseded_ms = entry.row.superseded_ms;
  worker.draining = entry.draining();
  worker.connected = IsConnected(entry, leases.term(), now);
  worker.registered_ms = entry.row.registered_ms;
  worker.last_seen_ms = std::max(entry.row.last_seen_ms, entry.seen_ms);
  worker.departed_ms = entry.row.departed_ms;
  worker.departed_reason = entry.row.departed_reason;
  worker.running_jobs = static_cast<uint32_t>(leases.CountOfWorker(entry.row.info.name));
  if (auto suspicion = memory.dispatcher.health.SuspicionOf(entry.row.info.name, now)) {
    worker.suspect_until_ms = suspicion->until_ms;
    worker.suspect_reason = std::move(suspicion->reason);
  }
  if (worker.connected) worker.idle_slots = entry.idle_slots;
  const int64_t silent_ms = now_ms - worker.last_seen_ms;
  if (worker.departed_ms == 0 && !worker.connected && worker.running_jobs == 0 &&
      silent_ms >= absl::ToInt64Milliseconds(kDepartedAfter)) {
    worker.departed_ms = worker.last_seen_ms;
    worker.departed_reason = "not heard of since";
  }
  return worker;
}

}  // namespace coppice::core
