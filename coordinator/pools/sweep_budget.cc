#include "coordinator/pools/sweep_budget.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace coppice::pools {
namespace {

constexpr size_t kSweepsNamed = 3;

double LimitSeconds(const PoolRow& row) { return row.spec.gpu_hours_a_sweep * 3600; }

const SweepUse* FindUse(const PoolRow& row, const SweepDemand& sweep) {
  for (const SweepUse& use : row.sweep_use) {
    if (use.sweep_id == sweep.id && use.created_ms == sweep.created_ms) return &use;
  }
  return nullptr;
}

bool IsSpentBy(const PoolRow& row, const SweepDemand& sweep) {
  const SweepUse* const use = FindUse(row, sweep);
  return use != nullptr && IsSpent(row, *use);
}

// GPU seconds by the sweep's id.
using GpuSeconds = std::map<uint64_t, double>;

void AddWorker(const WorkerCapacity& worker, double gpu_seconds_a_slot, GpuSeconds* sums) {
  uint64_t jobs = 0;
  for (const auto& [sweep, held] : worker.held) jobs += held;
  if (jobs == 0) return;
  const double busy = worker.slots - std::min(worker.idle_slots, worker.slots);
  for (const auto& [sweep, held] : worker.held) {
    const double share = static_cast<double>(held) / static_cast<double>(jobs);
    (*sums)[sweep] += busy * share * gpu_seconds_a_slot;
  }
}

void AddAllocation(const AllocationRow& allocation,
                   const std::vector<const WorkerCapacity*>& workers, int64_t from_ms,
                   int64_t now_ms, GpuSeconds* sums) {
  uint64_t slots = 0;
  for (const WorkerCapacity* worker : workers) slots += worker->slots;
  const int64_t since_ms = std::max(from_ms, allocation.started_ms);
  if (slots == 0 || since_ms >= now_ms) return;
  const double seconds = static_cast<double>(now_ms - since_ms) / 1000;
  const double a_slot = seconds * allocation.gpus / static_cast<double>(slots);
  for (const WorkerCapacity* worker : workers) {
    if (worker->connected) AddWorker(*worker, a_slot, sums);
  }
}

void AddUse(const SweepDemand& sweep, double gpu_seconds, PoolRow* row) {
  SweepUse use{sweep.id, sweep.created_ms, sweep.name, 0};
  const auto there =
      std::find_if(row->sweep_use.begin(), row->sweep_use.end(), [&sweep](const SweepUse& other) {
        return other.sweep_id == sweep.id && other.created_ms == sweep.created_ms;
      });
  if (there != row->sweep_use.end()) {
    use = std::move(*there);
    row->sweep_use.erase(there);
  }
  use.gpu_seconds += gpu_seconds;
  row->sweep_use.push_back(std::move(use));
  if (row->sweep_use.size() > kMaxSweepsCounted) row->sweep_use.erase(row->sweep_use.begin());
}

}  // namespace

bool CountSweepUse(const std::vector<AllocationRow>& allocations, const WorkersByKey& workers,
                   const std::vector<SweepDemand>& sweeps, int64_t now_ms, PoolRow* row) {
  const int64_t from_ms = std::exchange(row->use_counted_ms, now_ms);
  // The first time, or the wall clock was set back.
  if (from_ms == 0 || from_ms >= now_ms) return false;
  GpuSeconds sums;
  for (const AllocationRow& allocation : allocations) {
    if (allocation.pool != row->spec.name || allocation.gpus == 0 ||
        allocation.state == AllocationState::kEnded) {
      continue;
    }
    const auto found = workers.find(allocation.key);
    if (found != workers.end()) AddAllocation(allocation, found->second, from_ms, now_ms, &sums);
  }
  for (const SweepDemand& sweep : sweeps) {
    const auto sum = sums.find(sweep.id);
    if (sum != sums.end()) AddUse(sweep, sum->second, row);
  }
  return !sums.empty();
}

bool IsSpent(const PoolRow& row, const SweepUse& use) {
  return row.spec.gpu_hours_a_sweep > 0 && use.gpu_seconds >= LimitSeconds(row);
}

std::vector<uint64_t> SpentSweepsOf(const PoolRow& row, const Demand& demand) {
  std::vector<uint64_t> spent;
  if (row.spec.gpu_hours_a_sweep == 0 || row.removed) return spent;
  for (const SweepDemand& sweep : demand.sweeps) {
    if (IsSpentBy(row, sweep)) spent.push_back(sweep.id);
  }
  return spent;
}

Demand AffordableDemand(const PoolRow& row, const Demand& demand, bool programs) {
  Demand own;
  own.grantable_jobs = demand.grantable_jobs;
  own.program_jobs = demand.program_jobs;
  own.running_jobs = demand.running_jobs;
  own.seconds_left = demand.seconds_left;
  own.oldest_waiting_ms = demand.oldest_waiting_ms;
  own.width = demand.width;
  own.checkpoint_seconds = demand.checkpoint_seconds;
  const double all = static_cast<double>(own.grantable_jobs + own.running_jobs);
  if (row.spec.gpu_hours_a_sweep > 0) {
    for (const SweepDemand& sweep : demand.sweeps) {
      if (!IsSpentBy(row, sweep)) continue;
      own.grantable_jobs -= std::min(own.grantable_jobs, sweep.grantable_jobs);
      own.program_jobs -= std::min(own.program_jobs, sweep.program_jobs);
      own.running_jobs -= std::min(own.running_jobs, sweep.running_jobs);
    }
    const double left = static_cast<double>(own.grantable_jobs + own.running_jobs);
    if (own.seconds_left > 0 && all > 0) own.seconds_left *= left / all;
  }
  if (programs) return own;
  own.grantable_jobs -= std::min(own.grantable_jobs, own.program_jobs);
  own.program_jobs = 0;
  return own;
}

double SweepSecondsLeft(const PoolRow& row, const Demand& demand) {
  if (row.spec.gpu_hours_a_sweep == 0) return std::numeric_limits<double>::infinity();
  double left = 0;
  for (const SweepDemand& sweep : demand.sweeps) {
    const SweepUse* const use = FindUse(row, sweep);
    left += std::max(0.0, LimitSeconds(row) - (use == nullptr ? 0 : use->gpu_seconds));
  }
  return left;
}

std::string SpentText(const PoolRow& row, const Demand& demand) {
  std::vector<std::string> names;
  size_t more = 0;
  for (const SweepDemand& sweep : demand.sweeps) {
    if (sweep.grantable_jobs == 0 || !IsSpentBy(row, sweep)) continue;
    if (names.size() < kSweepsNamed) {
      names.push_back(sweep.name);
    } else {
      ++more;
    }
  }
  const bool one = names.size() + more == 1;
  return absl::StrCat(one ? "sweep " : "sweeps ", absl::StrJoin(names, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "", one ? " has" : " have",
                      absl::StrFormat(" used up %g GPU hours here: give the pool more with "
                                      "--gpu-hours-a-sweep (`coppice pool add --replace`)",
                                      row.spec.gpu_hours_a_sweep));
}

}  // namespace coppice::pools
