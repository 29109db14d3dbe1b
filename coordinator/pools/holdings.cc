#include "coordinator/pools/holdings.h"

#include <algorithm>

#include "coordinator/pools/policy.h"

namespace coppice::pools {
namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kMinuteMs = 60'000;

// True if the dispatcher would give it a job that is worth it.
bool TakesWork(const WorkerCapacity& worker, int64_t now_ms) {
  return worker.connected && !worker.draining && !worker.suspect &&
         (worker.ends_ms == 0 || worker.ends_ms - now_ms > kMinuteMs);
}

double SecondsLeftOf(const AllocationRow& row, int64_t now_ms) {
  const double total = static_cast<double>(row.walltime_s);
  if (row.started_ms == 0 || row.state == AllocationState::kQueued) return total;
  return std::max(0.0, total - static_cast<double>(now_ms - row.started_ms) / 1000);
}

void CountAlive(const AllocationRow& row, const WorkersByKey& workers, int64_t now_ms,
                Holdings* holdings) {
  ++holdings->alive;
  holdings->gpu_seconds_reserved += row.gpus * SecondsLeftOf(row, now_ms);
  const auto found = workers.find(row.key);
  const bool takes_work =
      found != workers.end() &&
      std::any_of(found->second.begin(), found->second.end(),
                  [now_ms](const WorkerCapacity* worker) { return TakesWork(*worker, now_ms); });
  if (takes_work) ++holdings->connected;
  switch (row.state) {
    case AllocationState::kIntended:
    case AllocationState::kQueued:
      // Its worker is connected, so it runs, though the batch system has not yet been asked.
      if (takes_work) {
        ++holdings->running;
        return;
      }
      ++holdings->queued;
      ++holdings->coming;
      if (row.state == AllocationState::kQueued && !row.job_id.empty()) {
        holdings->cancellable.push_back(&row);
      }
      return;
    case AllocationState::kRunning:
      ++holdings->running;
      // A worker that drains or is about to end comes no more, and one that never came is no
      // capacity for ever.
      if (found == workers.end() && now_ms - row.started_ms < kConnectMs) ++holdings->starting;
      return;
    case AllocationState::kUnknown:
      ++holdings->unclear;
      if (found == workers.end()) ++holdings->coming;
      return;
    case AllocationState::kEnded:
      return;
  }
}

}  // namespace

WorkersByKey ByKey(const Demand& demand) {
  WorkersByKey workers;
  for (const WorkerCapacity& worker : demand.workers) {
    if (!worker.pool_key.empty()) workers[worker.pool_key].push_back(&worker);
  }
  return workers;
}

Connected CountConnected(const Demand& demand, const std::set<std::string>& useless,
                         int64_t now_ms) {
  Connected connected;
  for (const WorkerCapacity& worker : demand.workers) {
    if (!TakesWork(worker, now_ms)) continue;
    const uint32_t idle = std::min(worker.idle_slots, worker.slots);
    connected.slots += worker.slots;
    if (!useless.empty() && useless.contains(std::string(PoolOfKey(worker.pool_key)))) {
      connected.slots -= idle;
    } else {
      connected.idle += idle;
    }
  }
  return connected;
}

Holdings CountHoldings(const std::string& pool, const std::vector<AllocationRow>& allocations,
                       const WorkersByKey& workers, int64_t now_ms) {
  Holdings holdings;
  for (const AllocationRow& row : allocations) {
    if (row.pool != pool) continue;
    if (row.intended_ms > now_ms - kMinuteMs) ++holdings.submitted_lately;
    holdings.gpu_seconds_today += GpuSecondsToday(row, now_ms);
    if (row.state != AllocationState::kEnded) CountAlive(row, workers, now_ms, &holdings);
  }
  std::sort(
      holdings.cancellable.begin(), holdings.cancellable.end(),
      [](const AllocationRow* a, const AllocationRow* b) { return a->sequence > b->sequence; });
  return holdings;
}

uint64_t SlotsOfAllocation(const PoolSpec& spec, const std::vector<AllocationRow>& allocations,
                           const WorkersByKey& workers) {
  if (spec.slots > 0) return spec.slots;
  uint32_t shown = 0;
  for (const AllocationRow& row : allocations) {
    const auto found = row.pool == spec.name ? workers.find(row.key) : workers.end();
    if (found == workers.end()) continue;
    for (const WorkerCapacity* worker : found->second) shown = std::max(shown, worker->slots);
  }
  return std::max<uint64_t>(1, shown > 0 ? shown : spec.gpus);
}

double GpuSecondsToday(const AllocationRow& row, int64_t now_ms) {
  const int64_t window = now_ms - kDayMs;
  const bool ended = row.state == AllocationState::kEnded;
  const int64_t end = ended ? row.ended_ms : now_ms;
  if (row.gpus == 0 || end <= window) return 0;
  double seconds = row.gpu_seconds;
  if (!ended && row.state != AllocationState::kQueued && row.started_ms > 0) {
    seconds += row.gpus * static_cast<double>(std::max<int64_t>(0, now_ms - row.started_ms)) / 1000;
  }
  const double most =
      row.gpus * static_cast<double>(end - std::max(window, row.intended_ms)) / 1000;
  return std::clamp(seconds, 0.0, std::max(0.0, most));
}

}  // namespace coppice::pools
