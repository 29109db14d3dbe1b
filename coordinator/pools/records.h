#ifndef COPPICE_COORDINATOR_POOLS_RECORDS_H_
#define COPPICE_COORDINATOR_POOLS_RECORDS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

struct PoolsLoaded {
  std::vector<PoolRow> pools;  // removed ones included
  // Those that have not ended, and those that ended at or after the time asked for.
  std::vector<AllocationRow> allocations;
};

// Purpose: the durable memory of the pools. The coordinator keeps it in its database; tests keep it
// in memory. Owner: main, which keeps it longer than the Autoscaler. Thread-safe; nothing blocks.
// Each call calls back exactly once, on any thread, in the order of the calls. Failure codes are
// the store's. Durability: after OK the rows survive a crash; after an error none of the call's
// rows is stored.
class PoolRecords {
 public:
  virtual ~PoolRecords() = default;

  virtual void Load(int64_t ended_since_ms,
                    std::function<void(absl::StatusOr<PoolsLoaded>)> done) = 0;
  // Writes all rows in one transaction. A pool's row is found by its spec's name, an allocation's
  // by its key.
  virtual void Save(std::vector<PoolRow> pools, std::vector<AllocationRow> allocations,
                    std::function<void(absl::Status)> done) = 0;
};

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_RECORDS_H_
