// What memory this process takes and what of the machine's is left for it, as the kernel counts it.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_HOST_MEMORY_H_
#define COPPICE_WORKER_TRAINER_TRAIN_HOST_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/trainer/train/memory_meter.h"

namespace coppice::trainer {

// The number behind `key` in a file of "key: number kB" lines such as /proc/meminfo, in bytes.
std::optional<int64_t> BytesOfLine(absl::string_view file, absl::string_view key);

// Of this process; 0 where the kernel does not say.
int64_t ResidentBytes();
// The most since ResetPeakResidentBytes, or since the start where that is not possible.
int64_t PeakResidentBytes();
void ResetPeakResidentBytes();

// What the machine has left, or less where a control group this process is in allows less; nullopt
// where the kernel does not say.
std::optional<int64_t> AvailableBytes();
// The three above and ResidentBytes as a meter.
MemoryMeter& HostMemory();
// Of the control group whose path `membership` (a /proc/self/cgroup) names below `root`, and of all
// above it: the least that is left of a limit; nullopt without one.
std::optional<int64_t> LeftOfGroups(const std::string& root, absl::string_view membership);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_HOST_MEMORY_H_
