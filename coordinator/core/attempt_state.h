#ifndef COPPICE_COORDINATOR_CORE_ATTEMPT_STATE_H_
#define COPPICE_COORDINATOR_CORE_ATTEMPT_STATE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "coordinator/core/catalog.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Returns the last step of an attempt's run.
inline uint32_t StepsOf(const AttemptRow& attempt, const GroupSpec& group) {
  return attempt.steps == 0 ? group.steps : attempt.steps;
}

// The running attempt to which a command appends records. Metric rows, log text and checkpoints are
// written as they come. The changed rows of the job and the attempt are written once, after the
// last record.
struct AttemptState {
  JobRow stored;  // the job as the store has it
  JobRow job;
  AttemptRow attempt;
  std::shared_ptr<const GroupInfo> group;

  LeaseRef lease() const { return {attempt.job_id, attempt.number}; }
  const GroupSpec& spec() const { return group->spec; }
  // The last step of the attempt's run. The group may have more by now.
  uint32_t steps() const { return StepsOf(attempt, group->spec); }
};

// The outcome of a record that cannot simply be taken. At most one member is set.
struct RecordOutcome {
  absl::Status refusal;  // the record is wrong (AttemptAnswer::refusal)
  std::string left_out;  // the record is taken without its checkpoint
  std::string lost;      // earlier records are missing, which ends the attempt
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_ATTEMPT_STATE_H_
