// Explains why a CUDA device cannot be used, from the runtime's answers. Free of CUDA.
#ifndef COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_
#define COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_

#include "absl/status/status.h"
#include "worker/trainer/cuda/launch.h"

namespace coppice::trainer {

// NOT_FOUND: there is no such device, or this machine has no CUDA. FAILED_PRECONDITION: the device
// exists but does not work, e.g. because of an old driver. Messages name the remedy.
absl::Status CheckCudaDevices(const CudaDeviceList& devices, int index);
// FAILED_PRECONDITION: this build's kernels do not run on device number `index`.
absl::Status CheckCudaDevice(const CudaDeviceInfo& device, int index);

// True if a user who asked for any device (`auto`) and gets the CPU should know the reason.
// `status` is that of MakeCudaDevice. False if there is no GPU, or no CUDA in this build.
bool IsWorthAWarning(const absl::Status& status);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_DEVICE_STATUS_H_
