// When a sweep will have ended, by what its jobs were measured to take.
#ifndef COPPICE_COORDINATOR_CORE_ETA_H_
#define COPPICE_COORDINATOR_CORE_ETA_H_

#include <vector>

#include "coordinator/core/lease_table.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Seconds until the last job ends, when as many jobs go on running at once as run now.
//   1. A group's pace, in steps a second of one job, is what its attempts did over the time that
//      they held a slot: those that run and those that have ended, starting up, evaluation and
//      checkpoints included.
//   2. A group of which nothing was measured is taken to do as much work (multiply-adds) a second
//      as the sweep's others. Where none was, the rates that trainers told count.
//   3. The steps left of all groups at their paces make job-seconds; divided by the jobs that run
//      they are the time left, which is no shorter than what one of the open jobs needs.
// 0 when every job has ended; -1 while nothing runs, or nothing is known of a rate.
double EtaSeconds(const std::vector<GroupRow>& groups, const LiveStats& live);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_ETA_H_
