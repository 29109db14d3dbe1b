// The device that a user asked for.
#ifndef COPPICE_WORKER_TRAINER_SELECT_DEVICE_H_
#define COPPICE_WORKER_TRAINER_SELECT_DEVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/base/device_spec.h"
#include "common/settings/precision.h"
#include "worker/trainer/train/device.h"

namespace coppice::trainer {

// kAuto is a CUDA device if there is one, else the CPU; kCuda without an index is the first visible
// device. `precision` is that of the run. Fails if the requested CUDA device is not available, and
// names the remedy (see MakeCudaDevice).
absl::StatusOr<std::shared_ptr<Device>> SelectDevice(const DeviceSpec& spec,
                                                     settings::Precision precision);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_SELECT_DEVICE_H_
