// The use of a pool's allocations in the last 24 hours.
#ifndef COPPICE_COORDINATOR_POOLS_POOL_USAGE_H_
#define COPPICE_COORDINATOR_POOLS_POOL_USAGE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "coordinator/pools/holdings.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

struct UsageSums {
  double allocation_seconds = 0;  // of allocations that ran
  double slot_seconds = 0;        // of their slots
  double busy_slot_seconds = 0;   // of slots that trained
  uint32_t preemptions = 0;
};

// Purpose: sums over the last 24 hours, by the hour. Owner: the Autoscaler's loop; not thread-safe.
// Durability: none; the sums begin anew with the process.
class UsageLog {
 public:
  void Add(const UsageSums& more, int64_t now_ms);
  UsageSums Sum(int64_t now_ms) const;

 private:
  struct Hour {
    int64_t number;
    UsageSums sums;
  };
  std::deque<Hour> hours_;
};

// The use of a pool's allocations for `seconds`, if it was as it is now.
UsageSums UsageOf(const std::string& pool, const std::vector<AllocationRow>& allocations,
                  const WorkersByKey& workers, uint64_t slots, double seconds);

// The times that allocations waited for their first start, of those that started in the last 24
// hours.
struct QueueWaits {
  uint32_t starts = 0;
  double median_s = 0, longest_s = 0;
};
QueueWaits QueueWaitsOf(const std::vector<AllocationRow>& allocations, int64_t now_ms);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_POOL_USAGE_H_
