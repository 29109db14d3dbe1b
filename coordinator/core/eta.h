// Predicts the end of a sweep from the measured pace of its jobs.
#ifndef COPPICE_COORDINATOR_CORE_ETA_H_
#define COPPICE_COORDINATOR_CORE_ETA_H_

#include <vector>

#include "coordinator/core/lease_table.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Returns the seconds until the last job ends, if as many jobs go on running at once as run now.
//   1. A group's pace, in steps a second of one job, is the steps of its attempts over the time
//      that they held a slot. Running and ended attempts count, with start-up, evaluation and
//      checkpoints.
//   2. A group without measurements is assumed to do as much work (multiply-adds) a second as the
//      sweep's other groups. If no group has any, the rates that trainers reported are used.
//   3. The steps left of all groups at their paces make job-seconds. Divided by the number of
//      running jobs they give the time left, which is at least the time that one open job needs.
// The result is 0 when every job has ended; -1 while nothing runs or no rate is known.
double EtaSeconds(const std::vector<GroupRow>& groups, const LiveStats& live);

// The steps that the open jobs of a group have yet to do, and the seconds that one job takes for a
// step (0: not known). From the same measurements.
struct GroupPace {
  double steps_left = 0;
  double seconds_a_step = 0;
};
std::vector<GroupPace> PacesOf(const std::vector<GroupRow>& groups, const LiveStats& live);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_ETA_H_
