// The lifecycle of a job as data: the events that each state allows, and the next states.
#ifndef COPPICE_COORDINATOR_CORE_LIFECYCLE_H_
#define COPPICE_COORDINATOR_CORE_LIFECYCLE_H_

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "coordinator/core/types.h"

namespace coppice::core {

enum class JobTrigger {
  kGrant = 1,  // leased to a worker
  kComplete,   // reached its last step
  kFail,       // an attempt failed and was charged; another one follows
  kGiveUp,     // an attempt failed, and no other one follows
  kRelease,    // the attempt ended without fault (preemption, drain, shutdown, a lost grant)
  kExpire,     // the lease ran out
  kCancel,     // a person ended it
  kRetry,      // a person asked for another try
  kExtend,     // the last step of a shorter run was reached, and the sweep has more steps now
};

struct LifecycleRow {
  JobState state;
  JobTrigger trigger;
  JobState next;
};

// Pairs that are not listed are refused.
const std::vector<LifecycleRow>& Lifecycle();

// Returns nothing if `trigger` cannot happen in `state`.
std::optional<JobState> NextState(JobState state, JobTrigger trigger);

// PENDING or RUNNING.
inline bool IsOpen(JobState state) {
  return state == JobState::kPending || state == JobState::kRunning;
}

absl::string_view StateName(JobState state);  // "PENDING"
// The event that a transition leaves in the job's log.
EventType EventOf(JobTrigger trigger);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_LIFECYCLE_H_
