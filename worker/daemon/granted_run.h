#ifndef COPPICE_WORKER_DAEMON_GRANTED_RUN_H_
#define COPPICE_WORKER_DAEMON_GRANTED_RUN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coppice::worker {

// The run of a grant. Its text goes into the trainer's run spec as it came; the rest is what the
// worker itself needs to know of it.
struct GrantedRun {
  std::string json;  // an object, as docs/trainer-protocol.md has it
  std::string task;
  uint32_t depth = 0;
  uint32_t steps = 0;
  absl::Duration stall;  // zero: the worker goes by the trainer's pace
  // What its speed and memory depend on: task, depth, model, batch, precision, where its data come
  // from, and whether checkpoints are written on the way. A text of JSON.
  std::string kind;
};

// What a message of a sweep can say, with room: five paths and some forty numbers.
inline constexpr size_t kMaxRunBytes = 256 << 10;

// INVALID_ARGUMENT: the text is too large, no JSON object, or has no task or number of steps.
// Settings are not checked: the trainer does it.
absl::StatusOr<GrantedRun> ReadGrantedRun(const std::string& json);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRANTED_RUN_H_
