// The loop counts what the pools' allocations are used for.
#include <utility>

#include "coordinator/pools/holdings.h"
#include "coordinator/pools/pool_loop.h"
#include "coordinator/pools/sweep_budget.h"

namespace coppice::pools {

void Autoscaler::Loop::NoteUsage(const Demand& demand) {
  const TrackerTime now = Now();
  const absl::Duration passed =
      usage_noted_ == absl::ZeroDuration() ? absl::ZeroDuration() : now.monotonic - usage_noted_;
  usage_noted_ = now.monotonic;
  for (const std::string& pool : tracker_.TakePreempted()) {
    UsageSums one;
    one.preemptions = 1;
    usage_[pool].Add(one, now.now_ms);
  }
  if (passed > kLongestTick || !tracker_.HasAlive()) return;
  const std::vector<AllocationRow> allocations = tracker_.AllocationList();
  const WorkersByKey workers = ByKey(demand);
  for (const auto& entry : tracker_.pools()) {
    const uint64_t slots = SlotsOfAllocation(entry.second.spec, allocations, workers);
    usage_[entry.first].Add(
        UsageOf(entry.first, allocations, workers, slots, absl::ToDoubleSeconds(passed)),
        now.now_ms);
  }
}

void Autoscaler::Loop::NoteSweepUse(const Demand& demand) {
  const TrackerTime now = Now();
  const std::vector<AllocationRow> allocations = tracker_.AllocationList();
  const WorkersByKey workers = ByKey(demand);
  SpentSweeps spent;
  for (const auto& [name, pool] : tracker_.pools()) {
    PoolRow* const row = tracker_.FindPool(name);
    const bool from_before = row->use_counted_ms != 0 && row->use_counted_ms < loaded_ms_;
    if (row->spec.gpus == 0) continue;
    if (!from_before || now.monotonic - loaded_at_ >= kStoreSweepUse) {
      if (CountSweepUse(allocations, workers, demand.sweeps, now.now_ms, row)) {
        memory_[name].use_changed = true;
      }
    }
    std::vector<uint64_t> sweeps = SpentSweepsOf(*row, demand);
    if (!sweeps.empty()) spent[name] = std::move(sweeps);
  }
  if (spent == told_spent_ || options_.tell_spent == nullptr || options_.dry_run) return;
  told_spent_ = spent;
  options_.tell_spent(spent, Bind([this](absl::Status told) {
                        if (!told.ok()) told_spent_.clear();
                      }));
}

void Autoscaler::Loop::StoreSweepUse() {
  const absl::Duration now = clock_.Monotonic();
  for (auto& [name, memory] : memory_) {
    const PoolRow* const row = tracker_.FindPool(name);
    if (row == nullptr || !memory.use_changed || now - memory.use_stored < kStoreSweepUse) continue;
    memory.use_changed = false;
    memory.use_stored = now;
    tracker_.NoteChanged(*row);
  }
}

}  // namespace coppice::pools
