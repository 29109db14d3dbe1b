// The device that a user asked for.
#ifndef COPPICE_WORKER_TRAINER_SELECT_DEVICE_H_
#define COPPICE_WORKER_TRAINER_SELECT_DEVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/trainer/train/device.h"

namespace coppice::trainer {

// Resolves `device`: "cpu", "cuda" (the first visible one), "cuda:N", or "auto" (a CUDA device if
// there is one, else the CPU). `precision` is that of a run (config.h). Fails if the requested CUDA
// device is not available, and names the remedy (see MakeCudaDevice).
absl::StatusOr<std::shared_ptr<Device>> SelectDevice(absl::string_view device,
                                                     absl::string_view precision);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_SELECT_DEVICE_H_
