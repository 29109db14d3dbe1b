// The GPUs that this process may use, and how the slots of a worker share them.
#ifndef COPPICE_WORKER_DAEMON_DEVICES_H_
#define COPPICE_WORKER_DAEMON_DEVICES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/device_spec.h"
#include "worker/daemon/allocation.h"

namespace coppice::worker {

// Entries of CUDA_VISIBLE_DEVICES, each as it was given: an index, "GPU-...", "MIG-...".
struct VisibleGpus {
  std::vector<std::string> entries;
  std::string source;  // where they come from, for people
  // GPUs of the node that Slurm has not granted to the job. They may be other jobs'.
  uint32_t not_granted = 0;
};

// Finds the GPUs, without CUDA. The first of these decides:
//   1. CUDA_VISIBLE_DEVICES, even if it is empty. Like CUDA, it ends at the first entry that names
//      no device.
//   2. In a Slurm job, SLURM_GPUS_ON_NODE: that many, by index. Without it the job has no GPU, and
//      those of the node are used only if --device cuda asks for them.
//   3. The device files /dev/nvidia0, 1, ...: that many, by index.
// INVALID_ARGUMENT, with the remedy: an entry occurs twice, or there are too many. `root` is ""
// except in tests.
absl::StatusOr<VisibleGpus> FindGpus(const EnvironmentLookup& env, const Allocation& allocation,
                                     const std::string& root = "");

// The slots of a worker and the device of each.
struct SlotPlan {
  uint32_t slots = 1;
  DeviceSpec device;                 // for the trainers
  std::vector<std::string> devices;  // one CUDA_VISIBLE_DEVICES a slot; empty: not restricted
  std::string summary;               // for the log: what was derived from what
  std::string warning;               // with the remedy; empty: none
};
// `slots` 0: as many as there are GPUs, and one without. Several slots share a GPU where there are
// fewer GPUs than slots. With "cuda:N" all slots have that GPU. INVALID_ARGUMENT, with the remedy:
// the device asks for a GPU that is not there, or there are more GPUs than slots allowed.
absl::StatusOr<SlotPlan> PlanSlots(const VisibleGpus& gpus, const DeviceSpec& device,
                                   uint32_t slots);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_DEVICES_H_
