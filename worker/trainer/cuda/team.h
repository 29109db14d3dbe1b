// A team is the lanes that work on one item together, each in the same place of the same function.
// Lane l takes the elements l, l + size(), ..; Sum and Max give every lane the same bits; what a
// lane wrote before Sync the others may read after it. Host and device compile one body of each
// operation and differ only in the team.
#ifndef COPPICE_WORKER_TRAINER_CUDA_TEAM_H_
#define COPPICE_WORKER_TRAINER_CUDA_TEAM_H_

#include <cmath>
#include <cstdint>

#include "worker/trainer/host_device.h"

namespace coppice::trainer {

// How many lanes an operation wants for an item: one thread of the device, or a warp.
enum class TeamKind { kThread, kWarp };

// A thread of the device for itself, and any operation on the host.
struct OneLane {
  COPPICE_HOST_DEVICE int64_t lane() const { return 0; }
  COPPICE_HOST_DEVICE int64_t size() const { return 1; }
  template <typename T>
  COPPICE_HOST_DEVICE T Sum(T value) const {
    return value;
  }
  template <typename T>
  COPPICE_HOST_DEVICE T Max(T value) const {
    return value;
  }
  COPPICE_HOST_DEVICE void Sync() const {}
};

// The host's way to run an operation: all items in their order.
template <typename Operation>
void RunOnHost(const Operation& operation) {
  for (int64_t item = 0; item < operation.items(); ++item) operation(OneLane(), item);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_TEAM_H_
