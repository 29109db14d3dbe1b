// Decides what pools submit and cancel. Pure: no clock, no disk, no batch system.
#ifndef COPPICE_COORDINATOR_POOLS_POLICY_H_
#define COPPICE_COORDINATOR_POOLS_POLICY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/pools/demand.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

// No more queued allocations than needed are kept for longer than this: the first while there is
// other work, so that a short lull costs no place in the queue; the second once no work waits.
inline constexpr int64_t kCancelAfterMs = 120'000;
inline constexpr int64_t kCancelIdleAfterMs = 30'000;
// An allocation is worth its start-up only with so much work, unless --min-walltime says more.
inline constexpr double kUsefulSeconds = 120;
// A worker that is not connected is capacity for so long after its allocation started, or after it
// was seen last.
inline constexpr int64_t kConnectMs = 180'000;

struct PoolInput {
  PoolRow row;
  // Since when more is queued than needed, as the decision before said; 0: it is not.
  int64_t excess_since_ms = 0;
  // Queued allocations that the site permits, after it has refused more for a limit.
  uint32_t site_backlog = UINT32_MAX;
};

struct PoolDecision {
  std::string pool;
  uint32_t wanted = 0;     // workers for which there is work, within --max-workers
  uint32_t connected = 0;  // workers of its allocations
  uint32_t queued = 0, running = 0, unclear = 0;
  double gpu_seconds_today = 0;
  std::vector<int64_t> submits;      // walltimes in seconds, one for each allocation to ask for
  std::vector<std::string> cancels;  // keys of queued allocations, newest first
  int64_t excess_since_ms = 0;       // for the next decision
  std::string text;                  // one sentence for people
};

// `allocations` are those of all pools that are alive, and those that ended in the last 24 hours.
// The decisions come in the order of the pools' ranks and names; removed pools have none.
std::vector<PoolDecision> Decide(const std::vector<PoolInput>& pools,
                                 const std::vector<AllocationRow>& allocations,
                                 const Demand& demand, int64_t now_ms);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_POLICY_H_
