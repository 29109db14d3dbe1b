// The GPU time that a pool gives to each sweep, and the limit on it (--gpu-hours-a-sweep). Pure: no
// clock, no disk.
#ifndef COPPICE_COORDINATOR_POOLS_SWEEP_BUDGET_H_
#define COPPICE_COORDINATOR_POOLS_SWEEP_BUDGET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/pools/demand.h"
#include "coordinator/pools/holdings.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

// Adds the time since the row's use_counted_ms. A busy slot of an allocation has its share of the
// allocation's GPUs, and its time goes to the sweeps whose jobs its worker holds, by their number.
// True: the row has changed. A gap, while the coordinator was away, goes to the sweeps whose jobs
// are held after it; so the first call of a process waits until silent workers are known as such.
bool CountSweepUse(const std::vector<AllocationRow>& allocations, const WorkersByKey& workers,
                   const std::vector<SweepDemand>& sweeps, int64_t now_ms, PoolRow* row);

// True: the sweep has used what the pool may give to it.
bool IsSpent(const PoolRow& row, const SweepUse& use);

// The sweeps with work whose jobs the pool's workers no longer get, by id.
std::vector<uint64_t> SpentSweepsOf(const PoolRow& row, const Demand& demand);

// The demand that a pool may serve: without the jobs of spent sweeps, and without jobs of programs
// unless `programs`. The workers are left out.
Demand AffordableDemand(const PoolRow& row, const Demand& demand, bool programs);

// GPU seconds that the pool may still give to the sweeps with work; infinity: there is no limit.
double SweepSecondsLeft(const PoolRow& row, const Demand& demand);

// One sentence, with the remedy: the limit keeps work from the pool.
std::string SpentText(const PoolRow& row, const Demand& demand);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_SWEEP_BUDGET_H_
