// The allocations and workers that are there, each counted once.
#ifndef COPPICE_COORDINATOR_POOLS_HOLDINGS_H_
#define COPPICE_COORDINATOR_POOLS_HOLDINGS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/pools/demand.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

// The allocations of a pool, each counted once.
struct Holdings {
  uint64_t alive = 0;  // rows that have not ended
  uint32_t queued = 0, running = 0, unclear = 0;
  uint32_t connected = 0;  // allocations whose worker is there and takes work
  uint32_t starting = 0;   // allocations that have started, and whose worker may still come
  uint32_t coming = 0;     // queued, intended or unclear ones
  std::vector<const AllocationRow*> cancellable;  // newest first
  uint32_t submitted_lately = 0;                  // in the last minute
  double gpu_seconds_today = 0;
  double gpu_seconds_reserved = 0;  // that the alive ones may still use
};

// Slots of all workers that take work.
struct Connected {
  uint64_t slots = 0, idle = 0;
};

using WorkersByKey = std::map<std::string, std::vector<const WorkerCapacity*>>;
WorkersByKey ByKey(const Demand& demand);

// Idle slots of pools in `useless` count as none: their workers get no job.
Connected CountConnected(const Demand& demand, const std::set<std::string>& useless,
                         int64_t now_ms);

Holdings CountHoldings(const std::string& pool, const std::vector<AllocationRow>& allocations,
                       const WorkersByKey& workers, int64_t now_ms);

// Slots of an allocation: as set, as its workers have shown, or one for each GPU.
uint64_t SlotsOfAllocation(const PoolSpec& spec, const std::vector<AllocationRow>& allocations,
                           const WorkersByKey& workers);

// GPU seconds of an allocation within the 24 hours before `now_ms`.
double GpuSecondsToday(const AllocationRow& row, int64_t now_ms);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_HOLDINGS_H_
