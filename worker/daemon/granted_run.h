#ifndef COPPICE_WORKER_DAEMON_GRANTED_RUN_H_
#define COPPICE_WORKER_DAEMON_GRANTED_RUN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/program/program.h"

namespace coppice::worker {

// The run of a grant. Its text goes into the trainer's run spec unchanged. The other fields are for
// the worker itself.
struct GrantedRun {
  // "question of depth 2", "the program python3".
  std::string Describe() const;

  std::string json;  // an object in the form of docs/trainer-protocol.md
  // A program of the user's own trains it. Unset: Coppice's trainer.
  std::optional<Program> program;
  std::string task;
  uint32_t depth = 0;
  uint32_t steps = 0;
  absl::Duration stall;    // zero: the limit follows the trainer's own pace
  bool stall_set = false;  // the sweep sets it
  // Everything that its speed and memory depend on, as JSON: task, depth, model, batch, precision,
  // the source of its data, and whether it writes checkpoints along the way.
  std::string kind;
};

// The limit has room for all that a sweep's message can hold: five paths and about forty numbers.
inline constexpr size_t kMaxRunBytes = 256 << 10;

// INVALID_ARGUMENT: the text is too large, is no JSON object, or lacks a task, a number of steps,
// or the command of its program. Settings are not checked here: the trainer checks them.
absl::StatusOr<GrantedRun> ReadGrantedRun(const std::string& json);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRANTED_RUN_H_
