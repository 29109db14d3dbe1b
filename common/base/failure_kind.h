// The kinds of failure of an attempt: one list for the trainer, the worker and the coordinator.
#ifndef COPPICE_COMMON_BASE_FAILURE_KIND_H_
#define COPPICE_COMMON_BASE_FAILURE_KIND_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace coppice {

enum class FailureKind {
  // The trainer reports these.
  kNan,          // the loss or a gradient is not finite
  kCheckpoint,   // the checkpoint to resume from cannot be read
  kData,         // the data cannot be generated or read
  kOutOfMemory,  // the memory of the device or the host is used up
  kDisk,         // a checkpoint cannot be written
  kInternal,     // any other fault that the trainer or the worker noticed
  // The worker adds these.
  kRefused,    // the trainer refuses the settings of the run
  kCrashed,    // the trainer died without an event
  kGarbage,    // the trainer wrote something that is no event
  kStalled,    // the trainer made no progress for too long
  kTimeLimit,  // a user's own program ran longer than it may
};

// Returns the word for events, the wire and the database, such as "out_of_memory".
absl::string_view FailureKindText(FailureKind kind);
// Returns nothing for a word that names no kind.
std::optional<FailureKind> FailureKindFromText(absl::string_view text);
// True if a trainer's event may name this kind. Its worker finds out the others.
bool IsOfTrainer(FailureKind kind);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_FAILURE_KIND_H_
