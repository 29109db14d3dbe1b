#ifndef COPPICE_COORDINATOR_CORE_RESTORE_H_
#define COPPICE_COORDINATOR_CORE_RESTORE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "coordinator/core/store.h"

namespace coppice::core {

struct RestoreSummary {
  uint64_t sweeps = 0;
  uint64_t jobs = 0;
  uint64_t unfinished = 0;
  uint64_t released = 0;  // were RUNNING when the backup was taken
  AttemptNumber attempt_floor = 0;
};

// Turns the data of a backup, made at `backup_ms` (0: not known), into data on which a coordinator
// can continue. Runs before the first coordinator opens it. Attempts granted since the backup are
// not in it, and their workers may be alive. A job that reused such an attempt number would take
// their rows for its own. So:
//   1. Every later attempt number lies above a floor that no coordinator has reached: the wall time
//      in milliseconds, since no job is granted a thousand times a second for long. It also holds
//      for jobs submitted later, whose ids the lost data may have used.
//   2. Every RUNNING job goes back to PENDING, with an event that says so.
// All of this is one transaction. FAILED_PRECONDITION: the clock shows a time before the backup or
// before an earlier restore, so the floor would prove nothing. Otherwise the codes of Store.
absl::StatusOr<RestoreSummary> PrepareRestored(Store& store, Clock& clock, int64_t backup_ms);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_RESTORE_H_
