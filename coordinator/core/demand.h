// The work that waits for workers, for the pools.
#ifndef COPPICE_COORDINATOR_CORE_DEMAND_H_
#define COPPICE_COORDINATOR_CORE_DEMAND_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/lease_table.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/store.h"
#include "coordinator/pools/demand.h"

namespace coppice::core {

// The part of the demand that only the writer knows.
struct Waiting {
  pools::Demand demand;
  double width = 0;  // jobs that a busy slot has now, else jobs that a grant had; 0: not known
};
// Counts what the scheduler and the worker table hold; writes nothing.
absl::StatusOr<Waiting> MeasureWaiting(CommandContext& tx);

// Adds the time that the work takes. It reads the groups of unfinished sweeps, on a reader thread.
absl::StatusOr<pools::Demand> MeasureDemand(ReadTransaction& read, const Memory& memory,
                                            const Waiting& waiting);

// The seconds of one job's slot that the open work of `groups` takes, and the longest time between
// two checkpoints of a job. `live`: the leases of their sweeps. Waiting jobs count only up to
// `grantable` of them.
struct WorkTime {
  double job_seconds = -1;  // negative: no pace is known
  double checkpoint_seconds = 0;
};
WorkTime MeasureWork(const std::vector<GroupRow>& groups, const LiveStats& live,
                     uint64_t grantable);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DEMAND_H_
