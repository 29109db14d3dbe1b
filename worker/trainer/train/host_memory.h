// The memory that this process takes, and the memory that the machine has left for it, from the
// kernel's own counts.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_HOST_MEMORY_H_
#define COPPICE_WORKER_TRAINER_TRAIN_HOST_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/trainer/train/memory_meter.h"

namespace coppice::trainer {

// The number after `key`, in bytes, in a file of "key: number kB" lines such as /proc/meminfo.
std::optional<int64_t> BytesOfLine(absl::string_view file, absl::string_view key);

// The memory of this process; 0 if the kernel does not report it.
int64_t ResidentBytes();
// The peak since ResetPeakResidentBytes, or since the start of the process if a reset is not
// possible.
int64_t PeakResidentBytes();
void ResetPeakResidentBytes();

// The memory that the machine has left, or less if a control group of this process allows less.
// nullopt: the kernel does not report it.
std::optional<int64_t> AvailableBytes();
// ResidentBytes and the three functions above, as a meter.
MemoryMeter& HostMemory();
// The least memory that is left of any limit. It considers the control group below `root` that
// `membership` (a /proc/self/cgroup) names, and all groups above it. nullopt: no limit.
std::optional<int64_t> LeftOfGroups(const std::string& root, absl::string_view membership);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_HOST_MEMORY_H_
