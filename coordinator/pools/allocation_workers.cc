// The workers of allocations that come and go.
#include <set>

#include "coordinator/pools/allocation_tracker.h"

namespace coppice::pools {

void AllocationTracker::ApplyWorkers(const std::vector<WorkerCapacity>& workers, TrackerTime time) {
  std::set<std::string> there, connected;
  for (const WorkerCapacity& worker : workers) {
    if (worker.pool_key.empty()) continue;
    there.insert(worker.pool_key);
    if (!worker.connected) continue;
    connected.insert(worker.pool_key);
    ApplyRegistered(worker.pool_key, time);
    AllocationRow* const row = Find(worker.pool_key);
    if (row == nullptr || worker.restarts < row->restarts) continue;  // an orphan of an earlier run
    if (worker.restarts > row->restarts) {
      row->restarts = worker.restarts;
      Touch(*row);
    } else if (row->state == AllocationState::kRunning) {
      observations_[row->key].alive_ms = time.now_ms;
    }
  }
  for (auto& entry : observations_) {
    entry.second.worker_there = there.count(entry.first) > 0;
    const AllocationRow* const row = FindAllocation(entry.first);
    if (row != nullptr) NoteConnected(*row, connected.count(entry.first) > 0, time);
  }
}

void AllocationTracker::NoteConnected(const AllocationRow& row, bool connected, TrackerTime time) {
  Observation& seen = observations_[row.key];
  if (seen.connected == connected) return;
  seen.connected = connected;
  seen.connected_changed = time.monotonic;
  seen.worker_gone_ms = connected ? 0 : time.now_ms;
}

void AllocationTracker::ApplyRegistered(const std::string& key, TrackerTime time) {
  AllocationRow* const row = Find(key);
  if (row == nullptr) return;
  NoteConnected(*row, true, time);
  if (row->registered) return;
  row->registered = true;
  Touch(*row);
  if (PoolRow* const pool = FindPool(row->pool)) NoteSuccess(pool);
}

bool AllocationTracker::ExpectsNews(TrackerTime time) const {
  for (const auto& entry : observations_) {
    const Observation& seen = entry.second;
    const AllocationRow* const row = FindAllocation(entry.first);
    if (row == nullptr || !IsAlive(*row) || !seen.connected_changed.has_value() ||
        time.monotonic - *seen.connected_changed >= kNewsOfWorker) {
      continue;
    }
    const bool runs = row->state == AllocationState::kRunning;
    if (runs != seen.connected || row->restarts > seen.restarts_before) return true;
  }
  return false;
}

}  // namespace coppice::pools
