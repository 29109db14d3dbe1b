// Turns a sweep's groups and seeds into jobs, packs and work.
#ifndef COPPICE_COORDINATOR_CORE_PLANNER_H_
#define COPPICE_COORDINATOR_CORE_PLANNER_H_

#include "absl/status/status.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// Checks the properties of a spec that the core relies on, whatever resolved it. INVALID_ARGUMENT
// names the first fault.
absl::Status CheckSpec(const SweepSpec& spec);

// `spec` is valid. A pack holds jobs of one group, so each group fills its own packs. pack_width 0:
// kDefaultPackWidth. The groups have no ids, and all their jobs are PENDING.
Plan MakePlan(const SweepSpec& spec, uint32_t pack_width);

uint64_t StepsTotal(const SweepSpec& spec);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_PLANNER_H_
