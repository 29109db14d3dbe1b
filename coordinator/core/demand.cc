#include "coordinator/core/demand.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "coordinator/core/eta.h"
#include "coordinator/core/worker_table.h"

namespace coppice::core {
namespace {

pools::WorkerCapacity CapacityOf(const WorkerEntry& entry, const CommandContext& tx) {
  const WorkerInfo& info = entry.row.info;
  const Dispatcher& dispatcher = tx.memory().dispatcher;
  pools::WorkerCapacity worker;
  worker.pool_key = info.allocation.pool_key;
  worker.raw_job_id = info.allocation.raw_job_id;
  worker.worker = info.name;
  worker.restarts = info.allocation.restarts;
  worker.slots = info.slots;
  // A free slot has a request that waits.
  worker.idle_slots =
      static_cast<uint32_t>(std::min<size_t>(info.slots, dispatcher.waiters.CountOf(info.name)));
  worker.pack_width = info.pack_width;
  worker.draining = entry.draining();
  worker.suspect = dispatcher.health.SuspicionOf(info.name, tx.now()).has_value();
  worker.ends_ms = info.ends_ms;
  worker.connected = IsConnected(entry, tx.memory().options.lease, tx.now());
  if (!worker.pool_key.empty()) {
    const auto held = tx.memory().leases.CountBySweep(info.name);
    worker.held.assign(held.begin(), held.end());
  }
  return worker;
}

std::vector<pools::SweepDemand> DemandBySweep(const Memory& memory) {
  std::map<SweepId, pools::SweepDemand> sweeps;
  for (const auto& [id, jobs] : memory.dispatcher.scheduler.CountGrantableBySweep()) {
    sweeps[id].grantable_jobs = jobs.jobs;
    sweeps[id].program_jobs = jobs.programs;
  }
  for (const auto& [id, leases] : memory.leases.CountBySweep()) sweeps[id].running_jobs = leases;
  std::vector<pools::SweepDemand> demand;
  demand.reserve(sweeps.size());
  for (auto& [id, sweep] : sweeps) {
    sweep.id = id;
    const auto info = memory.catalog.FindSweep(id);
    if (info != nullptr) {
      sweep.name = info->name;
      sweep.created_ms = info->created_ms;
    }
    demand.push_back(std::move(sweep));
  }
  return demand;
}

// The leases of all these sweeps together. Groups belong to one sweep each.
void Merge(LiveStats more, LiveStats* all) {
  all->extra_steps.insert(more.extra_steps.begin(), more.extra_steps.end());
  all->pace.insert(more.pace.begin(), more.pace.end());
  all->work_per_second += more.work_per_second;
  all->leases += more.leases;
}

}  // namespace

absl::StatusOr<Waiting> MeasureWaiting(CommandContext& tx) {
  const Memory& memory = tx.memory();
  Waiting waiting;
  waiting.demand.sweeps = DemandBySweep(memory);
  for (const pools::SweepDemand& sweep : waiting.demand.sweeps) {
    waiting.demand.grantable_jobs += sweep.grantable_jobs;
    waiting.demand.program_jobs += sweep.program_jobs;
  }
  waiting.demand.oldest_waiting_ms = memory.dispatcher.waiting_since_ms();
  size_t jobs = 0, busy = 0;
  for (const WorkerEntry* entry : memory.workers.All()) {
    if (entry->row.departed_ms != 0) continue;
    const pools::WorkerCapacity& worker =
        waiting.demand.workers.emplace_back(CapacityOf(*entry, tx));
    const size_t held = memory.leases.CountOfWorker(worker.worker);
    if (held == 0) continue;
    jobs += held;
    busy += std::max<uint32_t>(1, worker.slots - worker.idle_slots);
  }
  waiting.demand.running_jobs = jobs;
  waiting.width =
      busy > 0 ? static_cast<double>(jobs) / static_cast<double>(busy) : memory.dispatcher.width;
  return waiting;
}

WorkTime MeasureWork(const std::vector<GroupRow>& groups, const LiveStats& live,
                     uint64_t grantable) {
  WorkTime time;
  double running = 0, pending = 0;
  uint64_t waiting_jobs = 0;
  bool known = true;
  const std::vector<GroupPace> paces = PacesOf(groups, live);
  for (size_t i = 0; i < groups.size(); ++i) {
    const GroupRow& group = groups[i];
    const uint64_t open = group.counts.unfinished();
    if (open == 0) continue;
    waiting_jobs += group.counts.pending;
    known = known && paces[i].seconds_a_step > 0;
    const double seconds = paces[i].steps_left * paces[i].seconds_a_step;
    const double share = static_cast<double>(group.counts.pending) / static_cast<double>(open);
    pending += share * seconds;
    running += (1 - share) * seconds;
    time.checkpoint_seconds =
        std::max(time.checkpoint_seconds, paces[i].seconds_a_step * group.spec.checkpoint_every);
  }
  if (!known) return time;
  // Jobs that wait after a failure are pending too, and start later.
  const double now =
      waiting_jobs == 0
          ? 0
          : std::min(1.0, static_cast<double>(grantable) / static_cast<double>(waiting_jobs));
  time.job_seconds = running + now * pending;
  return time;
}

absl::StatusOr<WorkTime> MeasureAllWork(ReadTransaction& read, const Memory& memory,
                                        uint64_t grantable) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<SweepRow> sweeps, read.ListSweeps());
  std::vector<GroupRow> open;
  LiveStats live;
  for (const SweepRow& sweep : sweeps) {
    // A paused sweep's running jobs are about to give their slots back.
    if (sweep.finished_ms != 0 || sweep.paused) continue;
    COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> groups, read.ListGroupCounts(sweep.id));
    open.insert(open.end(), groups.begin(), groups.end());
    Merge(memory.leases.Live(sweep.id), &live);
  }
  return MeasureWork(open, live, grantable);
}

std::optional<WorkTime> WorkTimeMemory::Recall(uint64_t jobs, absl::Duration now) const {
  absl::MutexLock lock(&mutex_);
  if (jobs_ == 0 || now >= until_) return std::nullopt;
  WorkTime time = time_;
  if (time.job_seconds > 0) {
    time.job_seconds *= static_cast<double>(jobs) / static_cast<double>(jobs_);
  }
  return time;
}

void WorkTimeMemory::Keep(const WorkTime& time, uint64_t jobs, absl::Duration now,
                          absl::Duration took) {
  absl::MutexLock lock(&mutex_);
  time_ = time;
  jobs_ = jobs;
  until_ = now + kPause * took;
}

pools::Demand DemandOf(const Waiting& waiting, const WorkTime& time) {
  pools::Demand demand = waiting.demand;
  const double width = std::max(1.0, waiting.width);
  demand.width = static_cast<uint32_t>(std::lround(width));
  demand.checkpoint_seconds = time.checkpoint_seconds;
  demand.seconds_left = time.job_seconds < 0 ? -1 : time.job_seconds / width;
  return demand;
}

}  // namespace coppice::core
