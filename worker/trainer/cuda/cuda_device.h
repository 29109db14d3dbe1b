// A CUDA device that trains packs.
#ifndef COPPICE_WORKER_TRAINER_CUDA_CUDA_DEVICE_H_
#define COPPICE_WORKER_TRAINER_CUDA_CUDA_DEVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/trainer/cuda/device_status.h"
#include "worker/trainer/stacked/stacked_device.h"

namespace coppice::trainer {

// CUDA device number `index`. Products of float32 use TF32 if `tf32` is set. UNIMPLEMENTED: this
// build has no CUDA. NOT_FOUND: there is no such device. FAILED_PRECONDITION: the device cannot be
// used, because of its driver or because the kernels were not compiled for it (device_status.h).
// Messages name the remedy.
absl::StatusOr<std::shared_ptr<StackedDevice>> MakeCudaDevice(int index, bool tf32);

// All CUDA devices that this process sees, and whether this build can use them. Leaves the last one
// as the calling thread's device.
CudaReport ReportCudaDevices();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_CUDA_DEVICE_H_
