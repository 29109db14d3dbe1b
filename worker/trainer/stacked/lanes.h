// Lanes work on one item together, all in the same function. Lane l takes the elements l, l +
// size(), ... Sum and Max give every lane the same bits. After Sync a lane may read the elements
// that other lanes wrote before it. Host and device compile one body of each operation; only the
// lanes differ.
#ifndef COPPICE_WORKER_TRAINER_STACKED_LANES_H_
#define COPPICE_WORKER_TRAINER_STACKED_LANES_H_

#include <cmath>
#include <cstdint>

#include "worker/trainer/base/host_device.h"

namespace coppice::trainer {

// The number of lanes for one item of an operation: one thread of the device, or a warp.
enum class LaneGroup { kThread, kWarp };

// A single lane: one thread of the device, or the host.
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

// Runs an operation on the host: all items in order.
template <typename Operation>
void RunOnHost(const Operation& operation) {
  for (int64_t item = 0; item < operation.items(); ++item) operation(OneLane(), item);
}

// The same as a function object (stacked_ops.h).
struct HostRunner {
  template <typename Operation>
  void operator()(const Operation& operation) const {
    RunOnHost(operation);
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_LANES_H_
