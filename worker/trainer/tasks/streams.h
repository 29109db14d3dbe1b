// The random streams of a dataset seed, and the names of the splits.
#ifndef COPPICE_WORKER_TRAINER_TASKS_STREAMS_H_
#define COPPICE_WORKER_TRAINER_TASKS_STREAMS_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

enum class SplitName : int8_t { kTrain, kVal, kTest, kGen };

// "train", "val", "test", "gen": file extensions and words in messages.
absl::string_view ToString(SplitName name);

enum class Purpose : int8_t { kExamples, kDecodeSample, kProbeSample };

// Every use of randomness has its own stream, so that none depends on the number of draws of
// another.
inline uint64_t StreamOf(Task task, SplitName split, Purpose purpose) {
  return (static_cast<uint64_t>(task) << 16) | (static_cast<uint64_t>(purpose) << 8) |
         static_cast<uint64_t>(split);
}

// CANCELLED: `stop` is set. `stop` may be null.
absl::Status CheckStop(const std::atomic<bool>* stop);

// INVALID_ARGUMENT: names the split, the size asked for and the largest possible one.
absl::Status TooLarge(SplitName split, int32_t size, int32_t largest);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_STREAMS_H_
