// The work that waits for workers, for the pools.
#ifndef COPPICE_COORDINATOR_CORE_DEMAND_H_
#define COPPICE_COORDINATOR_CORE_DEMAND_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
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

// The seconds of one job's slot that the open work of `groups` takes, and the longest time between
// two checkpoints of a job. `live`: the leases of their sweeps. Waiting jobs count only up to
// `grantable` of them.
struct WorkTime {
  double job_seconds = -1;  // negative: no pace is known
  double checkpoint_seconds = 0;
};
WorkTime MeasureWork(const std::vector<GroupRow>& groups, const LiveStats& live,
                     uint64_t grantable);

// The same for all sweeps. It reads the groups of unfinished sweeps, on a reader thread.
absl::StatusOr<WorkTime> MeasureAllWork(ReadTransaction& read, const Memory& memory,
                                        uint64_t grantable);

// Purpose: the last measured time of the work. Sweeps of a million jobs may have many groups, and
// reading them all takes longer than the pools' interval; so a measurement holds for twenty times
// as long as it took, scaled by the number of jobs. Owner: the coordinator. Thread-safe.
class WorkTimeMemory {
 public:
  static constexpr int kPause = 20;

  // `jobs`: those that run or could be granted. Nothing: measure again.
  std::optional<WorkTime> Recall(uint64_t jobs, absl::Duration now) const;
  void Keep(const WorkTime& time, uint64_t jobs, absl::Duration now, absl::Duration took);

 private:
  mutable absl::Mutex mutex_;
  WorkTime time_ ABSL_GUARDED_BY(mutex_);
  uint64_t jobs_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: nothing is kept
  absl::Duration until_ ABSL_GUARDED_BY(mutex_);
};

pools::Demand DemandOf(const Waiting& waiting, const WorkTime& time);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DEMAND_H_
