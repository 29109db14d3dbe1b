// The rules for the width of a granted pack.
#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_PACK_RULES_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_PACK_RULES_H_

#include <cstddef>
#include <string>

#include "coordinator/core/dispatch/worker_health.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// True if the worker measures and has not yet reported how many jobs of the group it wants at a
// time. Such a worker gets one job.
bool IsUnmeasured(const WorkerHealth& health, const AcquireRequest& request,
                  const std::string& worker, GroupId group);

// The work that a round of grants shares out.
struct Supply {
  size_t jobs = 0;     // that are ready and not yet granted
  size_t waiters = 0;  // at least one
};

// Returns how many jobs of the group to choose for the request. An unmeasured worker: two, of which
// it gets the first; the second shows whether there are enough for a pack. A worker that measures
// wants packs for their speed, so it takes no more than its share of the jobs: few jobs do not end
// up in one pack while other slots stand idle.
size_t PackWidth(const WorkerHealth& health, const AcquireRequest& request,
                 const std::string& worker, GroupId group, const Supply& supply);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_PACK_RULES_H_
