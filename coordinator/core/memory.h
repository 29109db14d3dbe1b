#ifndef COPPICE_COORDINATOR_CORE_MEMORY_H_
#define COPPICE_COORDINATOR_CORE_MEMORY_H_

#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/catalog.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/dispatch/dispatcher.h"
#include "coordinator/core/lease_table.h"
#include "coordinator/core/metric_names.h"
#include "coordinator/core/worker_table.h"

namespace coppice::core {

// The core's state in memory. It mirrors committed state, so it changes only after a commit. All
// members except `catalog`, `leases` and `options` belong to the writer thread.
struct Memory {
  explicit Memory(CoordinatorOptions o, Clock* clock = nullptr)
      : options(std::move(o)),
        leases(options.lease, clock),
        dispatcher(&workers, &leases, options.heartbeat_interval) {}

  const CoordinatorOptions options;
  std::string store_id;
  AttemptNumber attempt_floor = 0;  // every grant's attempt number is greater; fixed after recovery
  Catalog catalog;
  LeaseTable leases;
  WorkerTable workers;
  Dispatcher dispatcher;  // decides who gets work
  MetricNames metric_names;
  // Submissions that the last process did not finish; fixed after recovery.
  std::vector<SweepRow> cut_short;
  // Sweeps whose extension has yet to reach some jobs; fixed after recovery.
  std::vector<SweepRow> continuing;
  std::vector<SweepRow> half_deleted;               // deletions that it did not finish; likewise
  absl::Duration forget_at = absl::ZeroDuration();  // next check for workers long gone
  // The reason why the store currently accepts no changes; empty if it does. For the writer only.
  std::string store_trouble;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_MEMORY_H_
