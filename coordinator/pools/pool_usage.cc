#include "coordinator/pools/pool_usage.h"

#include <algorithm>

namespace coppice::pools {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kHoursShown = 24;

void AddTo(const UsageSums& more, UsageSums* sums) {
  sums->allocation_seconds += more.allocation_seconds;
  sums->slot_seconds += more.slot_seconds;
  sums->busy_slot_seconds += more.busy_slot_seconds;
  sums->preemptions += more.preemptions;
}

}  // namespace

void UsageLog::Add(const UsageSums& more, int64_t now_ms) {
  const int64_t hour = now_ms / kHourMs;
  // A wall clock that was set back counts into the newest hour.
  if (hours_.empty() || hours_.back().number < hour) hours_.push_back({hour, {}});
  AddTo(more, &hours_.back().sums);
  while (hours_.size() > kHoursShown) hours_.pop_front();
}

UsageSums UsageLog::Sum(int64_t now_ms) const {
  UsageSums sums;
  for (const Hour& hour : hours_) {
    if (hour.number > now_ms / kHourMs - kHoursShown) AddTo(hour.sums, &sums);
  }
  return sums;
}

UsageSums UsageOf(const std::string& pool, const std::vector<AllocationRow>& allocations,
                  const WorkersByKey& workers, uint64_t slots, double seconds) {
  UsageSums sums;
  for (const AllocationRow& row : allocations) {
    if (row.pool != pool || row.state == AllocationState::kEnded) continue;
    const auto found = workers.find(row.key);
    if (found == workers.end()) {
      if (row.state != AllocationState::kRunning) continue;
      sums.slot_seconds += static_cast<double>(slots) * seconds;
    } else {
      for (const WorkerCapacity* worker : found->second) {
        const uint32_t idle = std::min(worker->idle_slots, worker->slots);
        sums.slot_seconds += worker->slots * seconds;
        if (worker->connected) sums.busy_slot_seconds += (worker->slots - idle) * seconds;
      }
    }
    sums.allocation_seconds += seconds;
  }
  return sums;
}

QueueWaits QueueWaitsOf(const std::vector<AllocationRow>& allocations, int64_t now_ms) {
  std::vector<double> waits;
  for (const AllocationRow& row : allocations) {
    // A requeued allocation's row tells only of its last start.
    if (row.restarts > 0 || row.submitted_ms == 0 || row.started_ms == 0 ||
        row.started_ms <= now_ms - kHoursShown * kHourMs) {
      continue;
    }
    waits.push_back(static_cast<double>(std::max<int64_t>(0, row.started_ms - row.submitted_ms)) /
                    1000);
  }
  QueueWaits summary;
  summary.starts = static_cast<uint32_t>(waits.size());
  if (waits.empty()) return summary;
  std::sort(waits.begin(), waits.end());
  summary.median_s = waits[waits.size() / 2];
  summary.longest_s = waits.back();
  return summary;
}

}  // namespace coppice::pools
