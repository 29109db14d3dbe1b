// The words for the ends of attempts and for the events of a job. The database and the wire carry
// the text; everything else uses the enums.
#ifndef COPPICE_COORDINATOR_CORE_OUTCOMES_H_
#define COPPICE_COORDINATOR_CORE_OUTCOMES_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace coppice::core {

// The end of an attempt.
enum class AttemptOutcome {
  kRunning,    // none yet
  kSucceeded,  // the job reached its last step
  kFailed,     // its FailureKind says why
  kPreempted,  // its worker gave it back
  kReleased,   // the coordinator took it back
  kExpired,    // its worker was lost
  kCancelled,  // a person ended the job
};

// An attempt that did not fail, but does not count as others do.
enum class AttemptMark {
  kNone,
  kUntrained,   // nothing was trained under the lease, so people do not count it as an attempt
  kSuperseded,  // a newer process took the name of its worker
};

// An entry of a job's log.
enum class EventType {
  kSubmitted,
  kGranted,
  kCheckpoint,          // one was committed
  kCheckpointRejected,  // a worker found one damaged
  kSucceeded,
  kAttemptFailed,  // it is charged, and another attempt follows
  kFailed,         // no other attempt follows
  kReleased,
  kExpired,
  kCancelled,
  kRetried,
  kExtended,  // the sweep got more steps, and the job goes on
};

// The text of a value, such as "checkpoint_rejected"; empty for kRunning and kNone.
absl::string_view OutcomeText(AttemptOutcome outcome);
absl::string_view MarkText(AttemptMark mark);
absl::string_view EventTypeText(EventType type);
// The value of a text; nothing if there is none.
std::optional<AttemptOutcome> OutcomeFromText(absl::string_view text);
std::optional<AttemptMark> MarkFromText(absl::string_view text);
std::optional<EventType> EventTypeFromText(absl::string_view text);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_OUTCOMES_H_
